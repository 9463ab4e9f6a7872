"""The composition root: settings → database → services → routes. Only this package knows every concept.

`routes` has the routers, `bound` what endpoints may ask for, `background` the services; `assembly` puts them together.
"""

from lictor.app.assembly import assemble, build, prepare
from lictor.app.background import all_services, background_services, keeping
from lictor.app.routes import ROUTERS

__all__ = ["ROUTERS", "all_services", "assemble", "background_services", "build", "keeping", "prepare"]
