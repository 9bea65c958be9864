"""Files of all kinds: written whole or not at all, read no further than they announce.

``writing`` is the one way in which this package writes a file under a user's name, ``reading`` the
one way in which it opens one, ``unpacking`` how packed ones are read. Formats are elsewhere:
networks in ``serialization``, data in ``datasets``.
"""

from .reading import open_regular, shown
from .writing import replacement, write

__all__ = ["open_regular", "replacement", "shown", "write"]
