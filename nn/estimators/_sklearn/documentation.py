"""What the docstrings of both estimators have in common."""

from __future__ import annotations

import inspect

PARAMETERS = """
hidden_layer_sizes : int or sequence of int, default (100,)
    Neurons of each hidden layer.
activation : str, object of ``fastmlp.activations``, or list of them, default "relu"
    ``"identity"``, ``"logistic"``, ``"tanh"``, ``"relu"``, or another of fastmlp's; a list has one
    for each hidden layer.
solver : {"adam", "sgd", "lbfgs", "lm", "br"}, default "adam"
    ``lm`` is Levenberg–Marquardt and ``br`` Bayesian regularisation, which finds the penalty itself
    (``alpha`` is not used; squared error only; ``effective_parameters_`` says how many parameters
    the data determine, ``log_evidence_`` which of several networks they speak for): for networks
    of up to 3,000 parameters, in float64, with all rows in every step. ``lbfgs`` (needs scipy)
    takes all rows in every step. It computes in float64, also for float32 rows, and so are the
    parameters that it finds; with ``dtype="float32"`` they are rounded to it.
alpha : float, default 1e-4
    Weight of the penalty ``½ α Σ W² / n``, ``n`` being the rows of the step.
batch_size : int or "auto", default "auto"
    Rows of a step; ``"auto"`` is ``min(200, n)``.
learning_rate : {"constant", "invscaling", "adaptive"}, default "constant"
    Schedule of ``sgd``. ``invscaling``: ``η = η₀ / (rows seen + 1)^power_t``, set after each
    epoch. ``adaptive``: η is divided by 5 where others would stop.
learning_rate_init : float, default 0.001
    ``η₀`` of the next ``fit``. Between calls of ``partial_fit`` the attributes of ``_optimizer`` of
    scikit-learn's estimators are set: ``learning_rate`` of ``sgd``, ``learning_rate_init`` of
    ``adam``.
power_t : float, default 0.5
    Exponent of ``invscaling``.
max_iter : int, default 200
    Epochs (steps of ``lbfgs``) at most.
shuffle : bool, default True
    Visit the rows in a new order in each epoch.
random_state : int, numpy.random.RandomState or None
    Draws initial parameters, the validation rows and the shuffles, in this order.
tol : float, default 1e-4
    Training stops after more than ``n_iter_no_change`` epochs without an improvement of at
    least ``tol``; for ``lbfgs`` it is the bound on the gradient.
verbose : bool or int, default False
    Print the loss of each epoch.
warm_start : bool, default False
    Let ``fit`` go on from the present parameters.
momentum, nesterovs_momentum : float, default 0.9, and bool, default True
    Of ``sgd``.
early_stopping : bool, default False
    Set validation rows apart, stop by their score and keep the best parameters.
validation_fraction : float, default 0.1
    Share of these rows.
beta_1, beta_2, epsilon : float, default 0.9, 0.999, 1e-8
    Of ``adam``; epsilon is added before the bias correction, as scikit-learn does.
n_iter_no_change : int, default 10
    See ``tol``.
max_fun : int, default 15000
    Evaluations of ``lbfgs`` at most.
"""

EXTRAS = """
optimizer : str or object of ``fastmlp.optimizers``, optional
    Takes the place of ``solver`` ``sgd`` or ``adam`` and their constants; a name has its own
    constants and ``learning_rate_init``.
schedule : str, object of ``fastmlp.schedules`` or function, optional
    Learning rates by a schedule of the optimizer's, in the place of ``learning_rate``; a function
    of the epoch returns the rate itself. It goes on over calls of ``partial_fit``, each of which
    is an epoch; where it depends on the length of the run it has to be told that there.
init : str or object of ``fastmlp.initializers``, optional
    Initial weights; biases then start at 0.
l1 : float, default 0
    Weight of the penalty ``l1 Σ |W| / n``.
dropout : float or list of float, default 0
    Probability with which a hidden unit is left out of a step; a list has one for the input and
    each hidden layer.
clip_value, clip_norm : float, optional
    Bounds of the gradient's elements, and of its norm.
max_norm : float, optional
    Bound on the norm of the weights into each neuron.
stop : str, object of ``fastmlp.stopping``, or list of them, optional
    More rules that end training.
max_time : float, optional
    Seconds after which no further epoch begins.
scoring : str or callable, optional
    Score of early stopping: a name that scikit-learn knows, ``scorer(estimator, X, y)``, or
    ``"loss"``. Weights of rows are passed on as ``sample_weight`` where the function takes them.
callbacks : callable, object of ``fastmlp.callbacks``, or list of them
    Called as ``callback(estimator, history)`` after each epoch; ``True`` stops training.
progress : bool, default False
    Show a progress bar.
n_threads : int, optional
    Threads to use at most. Results do not depend on it.
backend : {"compiled", "numba", "reference"}, optional
    The live one by default.
dtype : float32 or float64, optional
    Floating-point type of all computations; that of ``X`` by default.
pickle_optimizer : bool, default True
    Keep the optimizer's state (velocity, moments) in pickles, so that ``partial_fit`` of the
    unpickled estimator goes on as if nothing had happened. ``False`` makes them two or three times
    smaller; what is lost is that state, and ``partial_fit`` then starts the optimizer anew: with
    the first step of Adam, or without velocity. Predictions are the same.
"""

ATTRIBUTES = """
coefs_, intercepts_ : lists of arrays
    ``(n_in, n_out)`` and ``(n_out,)`` of each layer; edits and replacements take effect.
loss_ : float
    Loss of the last epoch, penalty included.
loss_curve_ : list of float
    One value per epoch (not for ``lbfgs``).
best_loss_ : float or None
    Lowest of them; ``None`` with early stopping.
validation_scores_, best_validation_score_ : list of float and float, or None
    Of validation rows, where there were any.
validation_loss_curve_ : list of float or None
    Their loss after each epoch, without penalty.
stop_reason_ : str
    Why training ended: ``"epochs"``, ``"plateau"`` (``tol``), ``"early_stopping"``,
    ``"converged"`` (lbfgs), ``"line_search"`` (lbfgs), ``"time_limit"``, ``"callback"``,
    ``"interrupted"``, or the name of a rule of ``stop``.
n_iter_, t_, n_layers_, n_outputs_, n_features_in_ : int
    Epochs, rows seen, layers (input included), outputs and inputs.
feature_names_in_ : array of str
    Names of columns, where ``X`` had some.
"""

DEVIATIONS = """
Every deliberate deviation from scikit-learn:

- Losses are computed from the scores, not from clipped probabilities: they differ where a
  probability is within one machine epsilon of 0 or 1. Gradients, and so the steps of ``sgd`` and
  ``adam``, do not; the line search of ``lbfgs`` may go on differently after such a trial.
- ``predict_log_proba`` is finite for finite scores, where scikit-learn's may be ``-inf``.
- ``lbfgs`` computes in float64 for float32 rows, too; scikit-learn rounds the parameters of each
  evaluation to float32.
- Negative sample weights are an error, and so are negative targets of the Poisson loss.
- A warm start with early stopping gives back the best parameters also where none of its epochs
  beats the earlier fit; scikit-learn's overwrites them.
- Private attributes other than ``_optimizer.learning_rate``, ``_no_improvement_count``,
  ``_label_binarizer.y_type_`` and ``_random_state`` do not exist.
"""


def document(cls: type) -> type:
    """Fill ``{parameters}``, ``{extras}``, ``{attributes}``, ``{deviations}`` of a docstring."""
    text = inspect.cleandoc(cls.__doc__ or "")
    for name, part in (
        ("parameters", PARAMETERS),
        ("extras", EXTRAS),
        ("attributes", ATTRIBUTES),
        ("deviations", DEVIATIONS),
    ):
        text = text.replace("{" + name + "}", part.strip())
    cls.__doc__ = text + "\n"
    return cls
