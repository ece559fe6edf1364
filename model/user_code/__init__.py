"""The user's own modules, imported from the user's folder whatever they are called.

A user's `queue.py` must not replace the `queue` of Python's standard library, nor their `zeroskip.py` this package.
Yet `from queue import Net` in their `factory.py` means the file beside it. Therefore a user's module is imported under
a private name, `zeroskip.model.user_code.<folder>.<module>`. Import statements in it look in that folder first, then in
the current folder, then where Python looks. Import statements of libraries do not find these modules.

The private name contains the path of the folder. So every other process of zeroskip (forked, spawned, or started by a
fork server) finds the same classes by name, as pickle needs.
"""

from __future__ import annotations

import logging
import sys

from zeroskip.model.user_code.finder import Finder
from zeroskip.model.user_code.load import import_file, import_module
from zeroskip.model.user_code.messages import place_of, readable

__all__ = ["import_file", "import_module", "place_of", "readable"]

sys.meta_path.insert(0, Finder())

# zeroskip shows its own log messages in its own way. Those of `logging.getLogger(__name__)` in a user's module, whose
# private name begins with "zeroskip", go where the user's logging sends them.
logging.getLogger("zeroskip")
logging.getLogger(__name__).parent = logging.getLogger()
