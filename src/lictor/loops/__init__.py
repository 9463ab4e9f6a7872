"""Background services: what they look like, what keeps them running, and who may run them.

**A service** is a name, an interval and `run_once() -> int`: one round of work over whatever is due, in statements over
sets of rows, and how much it did. A round must be safe to run at any time, by anybody, twice at once: each of its
writes is guarded by the condition that it was chosen for (`… where state_id = :seen`). Everything below rests on that.
Nothing is handed from one round to the next in memory, so a process that dies takes nothing with it.

**The supervisor** gives each service a task: a round, then a wait of the interval, give or take a tenth so that
replicas do not beat in time. A service with a `batch` that got a full one goes on at once. `nudge()` ends the wait
early, from any thread (with `gather`, when no other has come for a moment, so that one round does what several are
about); it is a hint that there is work, and losing it costs no more than an interval. A round that fails is logged with
its error and tried again after a wait that doubles up to a minute. The supervisor remembers when each service last
came through, for the health page and for those who wonder whether anything runs.

**Leadership** saves work; it does not make anything correct. Any number of processes may serve one database: workers
of one server, replicas behind a load balancer. Were each to run every service, the rounds would find each other's
writes already made. So each service has one leader, by a row in `service_lease`:

    nobody ──claim──▶ held by A until T ──renew, before T──▶ held by A until T'
                          │                                        │
                          │ A stops: release                       │ A dies: T' passes
                          ▼                                        ▼
                        nobody                            whoever claims first

* The *database* decides who holds a lease: a claim is one statement that takes the row only if it is free, past its
  time, or ours already. Two claims at once are two writes of one row, and the second sees the first.
* A *process* decides whether it still believes in its lease, and it believes for less long than the row says:
  two thirds of the time, counted from before the claim was sent. A process that was suspended, or cannot reach the
  database, stops believing before anybody else can take over.
* Time is each process's own clock. Clocks that differ by less than a third of a lease change nothing; beyond that two
  processes may both believe, and do the same guarded work twice, which is what rounds must bear anyway.
* Leases are renewed three times in their length, all of a process's in one statement. A process that ends gives its
  own back, so that a rolling restart hands services over at once; after a crash it takes one length.

Services are held one by one and not all together, so that a process which runs only some of them leads only those.
"""

from lictor.loops.leader import Leases
from lictor.loops.service import Service
from lictor.loops.supervisor import ServiceHealth, Supervisor

__all__ = ["Leases", "Service", "ServiceHealth", "Supervisor"]
