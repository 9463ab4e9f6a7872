"""Decoders made by several threads at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lictor.kit.decoding import convert, decode, decoder

# Types that no thread has prepared yet, each within the next, and threads that all want the outermost at once.
SCRIPT = """
import sys, threading
import msgspec
from lictor.kit.decoding import decode

sys.setswitchinterval(1e-6)
for _ in range(150):
    kind = int
    for _ in range(8):
        fields = [("inner", kind | None, None), ("more", dict[str, list[int]] | None, None)]
        kind = msgspec.defstruct("Kind", fields)
    together = threading.Barrier(4)
    def work():
        together.wait()
        decode(b'{"inner": {"inner": {"inner": {}}, "more": {"x": [1]}}}', kind)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
"""


def test_threads_that_decode_into_a_new_type_at_once_do_not_crash() -> None:
    ended = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_decoder_is_made_once() -> None:
    assert decoder(list[int]) == decoder(list[int])
    assert decode(b"[1]", list[int]) == [1]
    assert decode('["1"]', list[int], strict=False) == [1]
    assert convert(["1"], list[int], strict=False) == [1]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="Expected `int`"):
        decode(b'["1"]', list[int])
