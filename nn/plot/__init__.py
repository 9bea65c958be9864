"""Pictures of training and of what was learnt; needs matplotlib (``pip install 'fastmlp[plot]'``).

========================  ======================================================================
:func:`learning_curves`   loss and metrics over the epochs, of one run or of several
:func:`decision_regions`  which class a network with two inputs chooses where
:func:`weight_images`     weights of the first layer as images
:func:`search`            candidates of a search over parallel axes
:func:`uncertainty`       mean and spread of an ensemble, or how well the spread is calibrated
:func:`loss_surface`      contours of the loss over two parameters or directions, and the path of
                          a descent on them
========================  ======================================================================

Each function takes a network or a fitted estimator (of this package or of scikit-learn), draws on
the axes that are given, or on a new figure, and returns the axes, whose ``figure`` may be shown or
saved; :func:`learning_curves`, which may need several, returns an array of them. ``_style.py``
holds colours and what all pictures share, ``_models.py`` reads networks out of estimators.
"""

from ._curves import learning_curves
from ._regions import decision_regions
from ._search import search
from ._surface import loss_surface
from ._uncertainty import uncertainty
from ._weights import weight_images

__all__ = [
    "decision_regions",
    "learning_curves",
    "loss_surface",
    "search",
    "uncertainty",
    "weight_images",
]
