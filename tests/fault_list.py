"""Small faults that somebody might make, and the tests that are meant to find them."""

from __future__ import annotations

from dataclasses import dataclass

PARITY = "tests/kernels/test_parity.py"
NETWORKS = "tests/kernels/test_parity_networks.py"
FEW_ROWS = "tests/kernels/test_few_rows.py"


@dataclass(frozen=True)
class Fault:
    """One change of one file.

    Attributes
    ----------
    name : str
    file : str
        From the root of the repository.
    old, new : str
        Text that occurs once, and what takes its place; in C both are expressions.
    tests : str
        Arguments of pytest.
    """

    name: str
    file: str
    old: str
    new: str
    tests: str

    @property
    def in_c(self) -> bool:
        return self.file.endswith((".c", ".h"))


def _c(name: str, file: str, old: str, new: str, tests: str) -> Fault:
    return Fault(f"C: {name}", f"kernels/compiled/src/{file}", old, new, tests)


def _numba(name: str, file: str, old: str, new: str, tests: str) -> Fault:
    return Fault(f"Numba: {name}", f"kernels/jit/{file}", old, new, tests)


def _reference(name: str, file: str, old: str, new: str, tests: str) -> Fault:
    return Fault(f"reference: {name}", f"kernels/reference/{file}", old, new, tests)


def _nn(name: str, file: str, old: str, new: str, tests: str) -> Fault:
    return Fault(name, f"nn/{file}", old, new, tests)


def _only(tests: str, words: str) -> str:
    return f"{tests} -k '{words}'"


_FORMULAS, _RULES = "formulas/activations.h", "formulas/update_rules.h"
_C_RULE = _only(PARITY, "test_update and compiled and {}").format
_JIT_RULE = _only(PARITY, "test_update and numba and {}").format

FAULTS = (
    # Formulas in C
    _c("slope of the sigmoid", _FORMULAS, "delta * (a * ((real)1 - a))", "delta * a",
       _only(PARITY, "compiled and activation_backward")),
    _c("slope of tanh", _FORMULAS, "delta * FMA(-a, a, SPLAT((real)1))", "delta * (1 - a)",
       _only(PARITY, "compiled and activation_backward")),
    _c("slope of softplus", _FORMULAS, "delta * -exp_minus_one(-a)", "delta * exp_minus_one(-a)",
       _only(PARITY, "compiled and activation_backward")),
    _c("Adagrad without epsilon", _RULES, "(root(turn, s[0]) + floor_of(u))", "root(turn, s[0])",
       _C_RULE("adagrad")),
    _c("AMSGrad forgets the highest", _RULES, "maximum(s[2], s[1])", "s[1]", _C_RULE("amsgrad")),
    _c("Adamax without a size", _RULES, "absolute(g) + floor_of(u)", "g + floor_of(u)",
       _C_RULE("adamax")),
    _c("Nesterov where it is not wanted", _RULES, "CONSTANT(u, nesterov) != 0",
       "CONSTANT(u, nesterov) == 0", _C_RULE("momentum")),
    _c("Huber's line", "formulas/losses.h", "r - halve(c)", "r - c",
       _only(PARITY, "compiled and loss_value")),
    _c("quantile upside down", "formulas/losses.h",
       "SPLAT((real)(1 - LOSS_CONSTANT(loss, quantile)))",
       "SPLAT((real)LOSS_CONSTANT(loss, quantile))", _only(PARITY, "compiled and output_delta")),
    _c("smoothing to zero", "formulas/losses.h", "SPLAT((real)0.5)", "SPLAT((real)0)",
       _only(PARITY, "compiled and loss_value")),
    _c("l1 without its sign", "formulas/penalties.h", "FMA(one, sign_of(x), sum)", "one + sum",
       _only(NETWORKS, "compiled and options and l1")),
    _c("dropout without its scale", "formulas/dropout.h", "(real)(1 / (1 - p))", "(real)1",
       _only(NETWORKS, "compiled and options and dropout")),
    # Calls on plain arrays in C
    _c("plain weights without a slope", "passes/plain/results.h",
       "!p->plain && gate_of(p) ? whole : 0", "gate_of(p) ? whole : 0",
       _only(FEW_ROWS, "compiled and order_of_weights")),
    _c("a factor too early", "passes/plain/pieces.h", "m->last && p->direct ? p->factor : 1",
       "p->direct ? p->factor : 1",
       _only(PARITY, "compiled and pieces_of_rows")),
    _c("later pieces of the depth", "passes/plain/products.h",
       "p->over_rows ? i % PART_ROWS == 0 : i == 0", "p->over_rows ? i % PART_ROWS == 0 : 1",
       _only(PARITY, "compiled and pieces_of_the_depth")),
    _c("a run of errors", "passes/plain/pieces.h", "min(j + run, panels)", "panels",
       _only(PARITY, "compiled and gradients_of_wide")),
    _c("rows of few outputs", "matrices/few_outputs.h", "m->a + row * m->a_row", "m->a",
       "tests/network/test_predictor.py"),
    # Engine in C
    _c("a chain of rows is lost", "passes/gradients.h", "(sum[2] + sum[3])", "sum[2]",
       _only(NETWORKS, "compiled and training_with_rules")),
    _c("clipping changes the penalty of biases", "passes/weights_pass.h",
       "weights && (e->pass.l2 != 0 || e->pass.l1 != 0)",
       "(e->pass.l2 != 0 || e->pass.l1 != 0)",
       _only(NETWORKS, "compiled and training_with_options")),
    _c("a step whose rows weigh nothing", "engine/engine.c", "total > 0 ? 1 / total : 0",
       "1 / total", _only("tests/kernels/test_regularisation.py tests/training/test_fit.py",
                           "compiled and (zero or weight)")),
    _c("penalties of a whole batch", "engine/engine.c", "penalty->l2 * share", "penalty->l2",
       _only(NETWORKS, "compiled and training_with")),
    _c("clipped gradients of later passes", "engine/engine.c", "done + e->pass.n_rows == n_rows",
       "done == 0", _only(NETWORKS, "compiled and cache_line")),
    _c("dropout of a rank's rows", "engine/engine.c", "(shards ? shards->position : 0)", "0",
       _only("tests/cluster/test_shards.py", "compiled and dropout")),
    _c("a tree of shards", "passes/shards.h", "pairs % 2 == 0", "pairs % 4 == 0",
       _only("tests/cluster/test_shards.py", "compiled and plain")),
    _c("the order of rows", "passes/rows_pass.h", "x.data + at * x.row_stride",
       "x.data + (position + r) * x.row_stride",
       _only(NETWORKS, "compiled and training_with_rules")),
    _c("weights of rows", "passes/rows_pass.h", "r < end && s->sample_weight", "r < first",
       _only(NETWORKS, "compiled and training_with_rules")),
    _c("residuals of rows that weigh less", "passes/second_order/curvature.h",
       "(load(residuals + at + r) - load(y + at + r)) * load(root + r)",
       "(load(residuals + at + r) - load(y + at + r))",
       _only("tests/second_order/test_squares.py", "compiled and layers")),
    _c("pairs of one set", "passes/second_order/gauss_newton.h",
       "same && i.first != i.second", "same",
       _only("tests/second_order/test_gauss_newton.py", "compiled and jacobian")),
    _c("a matrix that is not positive", "passes/second_order/cholesky.h", "!(square[c][c] > 0)",
       "square[c][c] == 0",
       _only("tests/second_order/test_gauss_newton.py", "compiled and systems")),
    _c("columns short of a vector", "matrices/few_rows.h", "p->n_out % LANES > 0", "0",
       _only("tests/network/test_predictor.py", "compiled and many_weights")),
    _c("factors of rows of weights", "matrices/few_rows.h", "p->a[r * p->a_row + k + s]",
       "p->a[r * p->a_row + k]", _only(FEW_ROWS, "compiled and sums_of_few")),
    _c("the last of the depth", "matrices/few_dots.h", "k < depth", "0",
       _only(FEW_ROWS, "compiled and sums_of_few")),
    _c("behind the last row of errors", "passes/plain/pieces.h", "columns % PANEL", "0",
       _only(FEW_ROWS, "nothing_behind")),
    _c("behind rows that overlap", "passes/plain/pieces.h",
       "(round_up(p->columns, PANEL) - p->columns)", "0", _only(FEW_ROWS, "nothing_behind")),
    _c("the second of two groups", "matrices/few_rows.h", "part.a += here * p->a_row",
       "part.a += 0", _only("tests/network/test_predictor.py", "compiled and any_layout")),
    _c("columns of the second thread", "passes/few_predictions.h", "task * s->columns", "0",
       _only("tests/network/test_predictor.py", "compiled and many_weights")),
    _c("shared columns of packed weights", "passes/predictions.h", "w += panel * w_panel", "w += 0",
       _only("tests/network/test_predictor.py", "compiled and many_weights")),
    _c("biases of shared columns", "passes/predictions.h",
       "(layer->bias - f->skipped) + panel * PANEL", "(layer->bias - f->skipped)",
       _only("tests/network/test_predictor.py", "compiled and many_weights")),
    # Numba
    _numba("slope of the sigmoid", "formulas/activations.py", "d * (a * (1.0 - a))",
           "d * (a * (1.0 + a))", _only(PARITY, "numba and activation_backward")),
    _numba("slope of SELU", "formulas/activations.py", "a + _LAMBDA_ALPHA", "a + _LAMBDA",
           _only(PARITY, "numba and activation_backward")),
    _numba("Huber's line", "formulas/losses_of_outputs.py", "quadratic * 0.5", "quadratic",
           _only(PARITY, "numba and loss_value")),
    _numba("binary smoothing", "formulas/losses_of_scores.py", "columns.constant * 0.5)",
           "columns.constant)", _only(PARITY, "numba and loss_value")),
    _numba("squared hinge", "formulas/losses_of_scores.py", "y * reached * -2.0",
           "y * reached * -1.0", _only(NETWORKS, "numba and squared_hinge")),
    _numba("Nesterov", "formulas/update_rules.py", "code.fma(k[0], v, -change) if nesterov",
           "code.fma(k[0], v, change) if nesterov", _JIT_RULE("momentum")),
    _numba("bias correction of Adamax", "formulas/update_rules.py",
           "k[RATE] = rate / (1 - c[0] ** float(t))\n    k[OWN], k[OWN + 1], k[OWN + 2] = 1 - c[0]",
           "k[RATE] = rate\n    k[OWN], k[OWN + 1], k[OWN + 2] = 1 - c[0]", _JIT_RULE("adamax")),
    _numba("decay of Adagrad", "formulas/update_rules.py", "(1 + (t - 1) * c[2])",
           "(1 + t * c[2])", _JIT_RULE("adagrad")),
    _numba("scale of a batch", "passes/rows_pass.py",
           "scale = share if plan.backward else 1.0", "scale = 1.0",
           _only(NETWORKS, "numba and training_with_rules and sgd")),
    _numba("penalty of biases", "passes/step_constants.py",
           "k[N_CONSTANTS + L2] = k[N_CONSTANTS + L1] = 0.0", "k[N_CONSTANTS + L1] = 0.0",
           _only(NETWORKS, "numba and training_with_rules and sgd")),
    _numba("tiles of plain descent", "matrices/tiles.py",
           "place = g + g_step_bytes * p", "place = g",
           _only(NETWORKS, "numba and training_with_rules and sgd")),
    _numba("penalty of plain descent", "formulas/updates.py", "penalised(g, x), []", "g, []",
           _only(NETWORKS, "numba and training_with_rules and sgd")),
    _numba("clipping only what is short", "passes/weights_pass.py", "1.0 if factor >= 1.0",
           "1.0 if factor <= 1.0", _only(NETWORKS, "numba and options and clip_norm")),
    # Reference
    _reference("cross-entropy of soft rows", "losses.py", "log_sum * y.sum(axis=1)", "log_sum",
               _only("tests/kernels/test_gradients.py", "cross_entropy and test_network")),
    _reference("quantile's slope", "losses.py", "np.where(r > 0, 1 - c[\"quantile\"]",
               "np.where(r > 0, c[\"quantile\"]",
               _only("tests/kernels/test_gradients.py", "quantile and output_delta")),
    _reference("l1 without a sign", "regularisation.py", "number(l1) * np.sign(w)", "number(l1)",
               _only("tests/kernels/test_gradients.py", "test_network")),
    _reference("clipping factor", "regularisation.py", "if not factor >= 1", "if factor >= 1",
               "tests/kernels/test_regularisation.py"),
    _reference("columns shorter than the bound", "regularisation.py", "norms > length",
               "norms > 0", _only("tests/kernels/test_regularisation.py", "MaxNorm")),
    _reference("Adam's correction", "update_rules.py", "root / (1 - beta_1**step)", "root",
               "tests/kernels/test_update_rules.py tests/training/test_optimizers.py"),
    # Training loop
    _nn("schedule by steps", "schedules/_rates.py",
        "start = epoch * n if step is None", "start = 0 if step is None",
        "tests/training/test_schedules.py tests/training/test_descent.py"),
    _nn("step decay", "schedules/_decays.py", "self.gamma ** (t // size)",
        "self.gamma ** (t / size)", "tests/training/test_schedules.py"),
    _nn("plateau's patience", "schedules/_rates.py", "self._waited >= max(rule.patience, 1)",
        "self._waited > max(rule.patience, 1)", "tests/training/test_schedules.py"),
    _nn("early stopping's patience", "stopping/_watches.py", "if self.waited < self.patience",
        "if self.waited <= self.patience", "tests/training/test_stopping.py"),
    _nn("the best epoch's weights", "stopping/_watches.py", "parameters[...] = self.parameters",
        "pass", "tests/training/test_stopping.py"),
    _nn("direction of a score", "stopping/_watches.py", "-1.0 if higher else 1.0", "1.0",
        "tests/training/test_stop_rules.py"),
    _nn("what callbacks change is lost", "_training/loop.py", "run.go_on_from(now)", "pass",
        "tests/training/test_mlp_training.py"),
    _nn("a callback's answer", "_training/loop.py", "isinstance(answer, (bool, np.bool_))",
        "isinstance(answer, bool)", "tests/training tests/network -k callback"),
    _nn("an interrupt is swallowed", "_training/loop.py",
        "if not hooks.returns_from_interrupt:\n            raise",
        "if hooks.returns_from_interrupt:\n            raise",
        "tests/training tests/estimators -k interrupt"),
    _nn("balanced classes", "_network/class_weights.py", "len(rows), present * counts",
        "counts, present * counts", "tests/training/test_fit.py"),
    _nn("weights of classes and rows", "_network/class_weights.py",
        "return result if weight is None else result * weight", "return result",
        "tests/training/test_fit.py"),
    _nn("Armijo's condition", "line_search.py",
        "new < value and new <= value + c1 * step * slope", "new < value",
        "tests/training/test_line_search.py"),
    _nn("effective parameters", "_derivatives/precisions.py",
        "self._sizes - self.alpha * self._sums(inverse_diagonal)", "self._sizes * 1.0",
        "tests/second_order/test_evidence.py"),
    _nn("the least evidence", "_training/full_batch/evidence.py", "lambda d: d.log_evidence",
        "lambda d: -d.log_evidence", "tests/second_order/test_evidence.py"),
    # Estimators
    Fault("tolerance of the loss", "kernels/_epochs.py",
        "1 if loss > best - tol", "1 if loss > best",
        "tests/estimators/test_sklearn_numbers.py tests/estimators/test_estimators_stopping.py"),
    _nn("rate of Adam as it is shown", "estimators/_fitting/optimizer.py",
        "math.sqrt(1 - beta_2**self.step)", "1.0", "tests/estimators/test_sklearn_numbers.py"),
    _nn("default batch size", "estimators/_fitting/descent.py", "min(200, n)", "min(100, n)",
        "tests/estimators"),
    _nn("best weights of early stopping", "estimators/_fitting/descent.py",
        "run.parameters[...] = self.best", "pass", "tests/estimators"),
    # Metrics and files
    _nn("R² of a constant target", "metrics/_values.py", "scores[residual == 0] = 1", "pass",
        "tests/metrics"),
    _nn("F1 of what is missing", "metrics/_classes.py", "2 * hits, both", "hits, both",
        "tests/metrics"),
    _nn("length of a model file", "serialization.py",
        "start + architecture.n_parameters * dtype.itemsize", "start",
        "tests/network/test_mlp_storage.py"),
)  # fmt: skip
