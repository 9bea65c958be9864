"""Networks and trainers over the C engine. Included by _core.pyx."""

class Network:
    """See :class:`fastmlp.kernels.reference.Network`."""

    def __init__(self, architecture, dtype, *, n_threads=None):
        _checks.threads(n_threads)
        self.architecture = architecture
        self.dtype = np.dtype(dtype)
        self.n_threads = n_threads
        self._options = TrainingOptions(batch_size=1, n_threads=n_threads)
        self._engine = Engine(architecture, dtype, None, None, 0, self._options)
        self._gradients = {}  # loss, whether rows are sparse -> engine with memory for a batch, while no call uses it
        self._lock = threading.Lock()

    def predict(self, parameters, x, *, out=None):
        """Values of the output layer, shape ``(n, n_out)``."""
        cdef Engine engine = self._engine
        if (
            out is None and engine.fits(parameters) and plain(x, 2, engine.dtype)
            and cnp.PyArray_DIM(<cnp.ndarray>x, 1) == engine.n_in
        ):
            out = new_array(cnp.PyArray_DIM(<cnp.ndarray>x, 0), engine.n_out, engine.dtype)
            engine.forward(parameters, x, out, False)
            return out
        _checks.flat("parameters", parameters, self.architecture, self.dtype)
        _checks.rows(self.architecture, self.dtype, x)
        if isinstance(x, CSR):
            out = _checks.output("out", out, (len(x), engine.n_out), self.dtype, x.data, parameters)
            engine.forward(aligned(parameters), x, out, False)
            return out
        out = _checks.output("out", out, (len(x), engine.n_out), self.dtype, x, parameters)
        engine.forward(aligned(parameters), aligned(x), out, False)
        return out

    def loss(self, parameters, x, target, loss, *, sample_weight=None):
        """Mean loss of the rows, without a penalty."""
        cdef Engine engine = self._engine
        self.check(parameters, x, target, loss, sample_weight)
        scores = np.empty((len(x), engine.n_out), self.dtype)
        rows = x if isinstance(x, CSR) else aligned(x)
        engine.forward(aligned(parameters), rows, scores, True)
        return loss_value(
            scores, target, loss, self.architecture.output, sample_weight=sample_weight,
            n_threads=self.n_threads,
        )

    def loss_and_gradient(
        self, parameters, x, target, loss, *, sample_weight=None, l2=0.0, l1=0.0, out=None
    ):
        """Mean loss plus ``½ l2 Σ W² + l1 Σ |W|``, and its gradient as a flat vector."""
        cdef samples s
        cdef list keep = []
        cdef cnp.ndarray flat, gradient
        cdef Engine engine
        cdef double value
        cdef penalty p
        cdef long n
        self.check(parameters, x, target, loss, sample_weight)
        loss, sparse = Loss.of(loss), isinstance(x, CSR)
        out = _checks.output(
            "out", out, parameters.shape, self.dtype, parameters, x.data if sparse else x
        )
        flat, gradient = aligned(parameters), out
        n = len(x)
        p.l2, p.l1, p.over_batch = l2, l1, False
        s.labels, s.sample_weight, s.order, s.n_rows = NULL, NULL, NULL, n
        set_rows(&s, keep, x)
        set_targets(&s, keep, target, sample_weight, cnp.PyArray_TYPE(flat))
        rows, engine = self._take_engine(loss, n, sparse)
        if sparse:
            check_memory(fastmlp_reserve_entries(engine.e, &s, max(n, 1)))
        with nogil:
            value = fastmlp_gradient(
                engine.e, cnp.PyArray_DATA(flat), &s, n, &p, cnp.PyArray_DATA(gradient)
            )
        with self._lock:
            self._gradients[loss, sparse] = rows, engine
        if engine.custom:
            raise_pending()
        return value, out

    def check(self, parameters, x, target, loss, sample_weight):
        """Name what is wrong with the arguments of a loss, if anything is."""
        cdef Engine engine = self._engine
        check_loss(loss, self.architecture.output, engine.n_out)
        _checks.flat("parameters", parameters, self.architecture, self.dtype)
        _checks.rows(self.architecture, self.dtype, x, target, sample_weight)

    def _take_engine(self, loss, rows, sparse):
        """An engine for gradients of that many rows that no other thread uses: (rows, engine)."""
        with self._lock:
            kept = self._gradients.pop((loss, sparse), None)
        if kept is not None and rows <= kept[0]:
            return kept
        rows = max(rows, 1)
        return rows, Engine(
            self.architecture, self.dtype, loss, None, rows, self._options, sparse
        )

    def __reduce__(self):
        return _new_network, (self.architecture, self.dtype, self.n_threads)


def _new_network(architecture, dtype, n_threads):
    return Network(architecture, dtype, n_threads=n_threads)


class Trainer:
    """See :class:`fastmlp.kernels.reference.Trainer`."""

    def __init__(self, architecture, dtype, loss, update_rule, options):
        _checks.training(architecture, loss, options)
        self._architecture, self._dtype = architecture, np.dtype(dtype)
        self._rule, self._options = update_rule, options
        self._loss, self._sparse = Loss.of(loss), False
        self._engine = self._new_engine()
        self._state_shape = (len(update_rule.slots), architecture.n_parameters)
        self._in_use = threading.Lock()
        self.step = 0
        self.gradient_norm = None

    def _new_engine(self):
        return Engine(
            self._architecture, self._dtype, self._loss, self._rule, self._options.batch_size,
            self._options, self._sparse,
        )

    def _turn(self, sparse):
        """Go over to an engine for rows of the other kind, with parameters and state."""
        parameters = np.empty(self._state_shape[1], self._dtype)
        state = np.empty(self._state_shape, self._dtype)
        self.store(parameters, state)
        self._sparse = sparse
        self._engine = self._new_engine()
        self.load(parameters, state, self.step)

    def load(self, parameters, state=None, step=0):
        """Copy parameters in, and optimizer state; without one it starts anew."""
        cdef Engine engine = self._engine
        cdef const void *moments = NULL
        cdef cnp.ndarray flat, states
        self._check_vectors(parameters, state)
        flat = aligned(parameters)
        if state is None and any(map(self._rule.initial_value, self._rule.slots)):
            state = self._rule.initial_state(engine.n_parameters, 0.0, self._dtype)
        if state is not None:
            states = np.ascontiguousarray(aligned(state))
            moments = cnp.PyArray_DATA(states)
        with self._in_use:
            fastmlp_load(engine.e, cnp.PyArray_DATA(flat), moments)
            self.step = int(step)

    def store(self, parameters, state=None):
        """Copy parameters (and optimizer state) out, as of the last finished step."""
        cdef Engine engine = self._engine
        self._check_vectors(parameters, state)
        copy = np.empty(engine.n_parameters, self._dtype)
        moments = None if state is None else np.empty(self._state_shape, self._dtype)
        with self._in_use:
            fastmlp_store(
                engine.e, cnp.PyArray_DATA(<cnp.ndarray>copy),
                NULL if moments is None else cnp.PyArray_DATA(<cnp.ndarray>moments),
            )
        parameters[...] = copy
        if state is not None:
            state[...] = moments

    def run_epoch(self, x, target, order, learning_rate, *, sample_weight=None):
        """Visit the rows once, in ``order`` (as they come for ``None``), one step a batch.

        The learning rate is one number, or a float64 array with one for each step. Returns the mean
        loss of the epoch, each batch's loss (with its penalty, before its update) weighted by its
        rows. Runs without the GIL; signals are looked at between steps.
        """
        cdef Engine engine
        cdef samples s
        cdef list keep = []
        cdef cnp.ndarray rows = None
        cdef c_update u = update_of(self._rule)
        cdef cnp.ndarray rates
        cdef const double *rate
        cdef double total = 0
        cdef penalty p
        cdef long n, at = 0, batch = self._options.batch_size, here, step = self.step, uninterrupted
        cdef long next_rate
        cdef long steps_between_signals
        cdef unsigned long mode

        _checks.rows(self._architecture, self._dtype, x, target, sample_weight)
        if isinstance(x, CSR) != self._sparse:
            self._turn(not self._sparse)
        engine = self._engine
        n = len(x)
        s.labels, s.sample_weight, s.order = NULL, NULL, NULL
        if order is not None:
            _checks.order(order, n)
            rows = np.ascontiguousarray(order, dtype=np.int64)
            s.order = <const int64_t *>cnp.PyArray_DATA(rows)
            n = len(rows)
        s.n_rows = n
        set_rows(&s, keep, x)
        set_targets(&s, keep, target, sample_weight, engine.dtype)
        p.l2, p.l1 = self._options.l2, self._options.l1
        p.over_batch = self._options.l2_over_batch
        _checks.learning_rates(learning_rate, (n + batch - 1) // batch)
        rates = np.ascontiguousarray(learning_rate, dtype=np.float64)  # at least one, in a vector
        next_rate = 1 if cnp.PyArray_SIZE(rates) > 1 else 0
        rate = <const double *>cnp.PyArray_DATA(rates)
        if not self._in_use.acquire(blocking=False):
            raise RuntimeError("this Trainer is in use by another thread")
        try:
            if self._sparse:
                check_memory(fastmlp_reserve_entries(engine.e, &s, batch))
            # About 10 ms of work on one slow core.
            steps_between_signals = 1 + <long>(1e8 / (fastmlp_operations(engine.e, batch) + 3e4))
            while at < n:
                with nogil:
                    mode = fastmlp_enter_steps()
                    uninterrupted = steps_between_signals
                    while at < n and uninterrupted > 0:
                        here = batch if n - at > batch else n - at
                        step += 1
                        fastmlp_update_at(&u, <double>step, rate[0])
                        total += here * fastmlp_step(engine.e, &s, at, here, step, &p, &u)
                        at += here
                        rate += next_rate
                        uninterrupted -= 1
                    fastmlp_choice_pause(&engine.e.choice)
                    fastmlp_leave_steps(mode)
                if engine.custom:
                    raise_pending()
                PyErr_CheckSignals()
        finally:
            fastmlp_end_epoch(engine.e)
            self.step = step
            if self._options.with_norm and n:
                self.gradient_norm = engine.e.gradient_norm
            self._in_use.release()
        return total / n if n else 0.0

    @property
    def threads_in_use(self):
        """Threads that steps use at present: the fastest number so far, see src/choice.c."""
        cdef Engine engine = self._engine
        return engine.e.choice.threads[engine.e.choice.best]

    def _check_vectors(self, parameters, state):
        _checks.flat("parameters", parameters, self._architecture, self._dtype)
        if state is not None:
            _checks.array("state", state, self._state_shape, self._dtype)


#: As they are numbered in src/functions.h.
VECTOR_FUNCTIONS = (
    "exp", "log", "tanh", "sigmoid", "log1p", "expm1", "softplus", "normal_tail",
    "sqrt",
)


def _vector_function(name, x):
    """One of the functions of src/vmath.h, of a contiguous vector: for their test."""
    cdef cnp.ndarray a = np.ascontiguousarray(x)
    cdef cnp.ndarray out = np.empty_like(a)
    cdef int which = VECTOR_FUNCTIONS.index(name)
    kernels_of(a).function(which, cnp.PyArray_DATA(a), cnp.PyArray_DATA(out), cnp.PyArray_SIZE(a))
    return out


def _contract(kind, name):
    """What C knows of a name, None for nothing: for the test that compares its lists with Python's.

    The number of an activation, loss or constant; of a rule, its number and vectors of state.
    """
    lookups = {
        "activation": code_of(name, fastmlp_activation_code),
        "loss": code_of(name, fastmlp_loss_code),
        "loss constant": code_of(name, fastmlp_loss_constant_code),
        "rule": code_of(name, fastmlp_update_code),
        "rule constant": code_of(name, fastmlp_constant_code),
    }
    code = lookups[kind]
    if code < 0:
        return None
    return (code, fastmlp_states(code)) if kind == "rule" else code
