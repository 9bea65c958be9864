"""A network together with what lies between it and people's data.

``preprocessing`` turns features into inputs and outputs into values, ``stored`` writes that as text
and reads it with distrust, ``model`` is the pair of both, as ``fastmlp train`` writes it and
:func:`fastmlp.load_model` reads it.
"""

from .model import FILE_NAME, Model, can_save, load_model
from .preprocessing import Preprocessing, of_images, of_table

__all__ = [
    "FILE_NAME",
    "Model",
    "Preprocessing",
    "can_save",
    "load_model",
    "of_images",
    "of_table",
]
