"""The user's own modules, imported from the user's folder whatever they are called.

A user's `queue.py` must not become the `queue` of Python's own library, nor their `zeroskip.py` this package. Yet
`from queue import Net` in their `factory.py` means the file beside it. So a user's module is imported under a name of
its own, `zeroskip.model.user_code.<folder>.<module>`, and the import statements in it look in that folder first, then
in the current folder, then where Python looks. Nobody else's import statements see these modules.

The name of the folder is part of the module's name. So another process of this program (forked, spawned, or of a fork
server) finds the same classes by their names alone, as pickles of them need it.
"""

from __future__ import annotations

import logging
import sys

from zeroskip.model.user_code.finder import Finder
from zeroskip.model.user_code.load import import_file, import_module
from zeroskip.model.user_code.messages import place_of, readable

__all__ = ["import_file", "import_module", "place_of", "readable"]

sys.meta_path.insert(0, Finder())

# The user's `logging.getLogger(__name__)` is none of this program's, which shows its own in its own way.
logging.getLogger("zeroskip")
logging.getLogger(__name__).parent = logging.getLogger()
