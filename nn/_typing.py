"""Types of annotations: arrays, as the kernels have them, and names, so that editors complete them.

Where a name is taken, ``str`` is as well: a variable has no literal type.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from fastmlp.kernels import ActivationName, Array, LossName, OutputName

__all__ = [
    "ActivationName",
    "Array",
    "ClassifierLoss",
    "InitializerName",
    "LossName",
    "MetricName",
    "OptimizerName",
    "OutputName",
    "RegressorLoss",
    "ScheduleName",
    "SolverName",
    "StopName",
]

ClassifierLoss: TypeAlias = Literal[
    "log_loss",
    "squared_error",
    "absolute_error",
    "huber",
    "log_cosh",
    "hinge",
    "squared_hinge",
    "multiclass_hinge",
]
RegressorLoss: TypeAlias = Literal[
    "squared_error",
    "poisson",
    "absolute_error",
    "huber",
    "quantile",
    "log_cosh",
    "gaussian_nll",
]
MetricName: TypeAlias = Literal[
    "accuracy",
    "balanced_accuracy",
    "f1",
    "mcc",
    "log_loss",
    "brier",
    "roc_auc",
    "average_precision",
    "top_k",
    "r2",
    "d2",
    "mae",
    "mse",
    "rmse",
    "mape",
    "pinball",
]
OptimizerName: TypeAlias = Literal[
    "adam",
    "adamw",
    "adamax",
    "yogi",
    "nadam",
    "radam",
    "adagrad",
    "adadelta",
    "rmsprop",
    "ftrl",
    "sgd",
    "lion",
    "rprop",
    "gradient_descent",
    "lbfgs",
    "levenberg_marquardt",
    "bayesian_regularization",
]
ScheduleName: TypeAlias = Literal[
    "constant",
    "inverse_scaling",
    "inverse_time",
    "step",
    "exponential",
    "cosine",
    "one_cycle",
    "warmup",
    "reduce_on_plateau",
]
StopName: TypeAlias = Literal[
    "gradient_norm", "step_norm", "plateau", "early_stopping", "time_limit"
]
Penalties: TypeAlias = Literal["all", "layers", "units"]
SolverName: TypeAlias = Literal["lbfgs", "sgd", "adam", "lm", "br"]
InitializerName: TypeAlias = Literal[
    "glorot_uniform",
    "glorot_normal",
    "he_uniform",
    "he_normal",
    "lecun_uniform",
    "lecun_normal",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "zeros",
]
