"""Networks and trainers over the C engine. Included by _core.pyx."""

class Network(Derivatives, SecondOrder):
    """See :class:`fastmlp.kernels.reference.Network`."""

    def __init__(self, architecture, dtype, *, n_threads=None):
        _checks.threads(n_threads)
        self.architecture = architecture
        self.dtype = np.dtype(dtype)
        self.n_threads = n_threads
        self._options = TrainingOptions(batch_size=1, n_threads=n_threads)
        self._engine = Engine(architecture, dtype, None, None, 0, self._options)
        # Whether rows are sparse -> their most, and an engine for them that no call uses at present.
        self._gradients = {}
        self._losses = {}  # as C sees them, by their names
        #: See :class:`fastmlp.kernels._plain.PlainPredictions`. The engine's own method, bound once.
        self.predict_plain = self._engine.predict_plain

    def predict(self, parameters, x, *, out=None):
        """Values of the output layer, shape ``(n, n_out)``; ``parameters`` may be packed."""
        cdef Engine engine = self._engine
        cdef cnp.ndarray flat
        cdef const void *panels = NULL
        cdef Py_ssize_t n
        if isinstance(parameters, Packed):
            panels, flat = (<Packed>parameters).panels, (<Packed>parameters).flat
            if (<Packed>parameters).engine is not engine:
                raise ValueError("these parameters were packed by another network")
        else:
            if not engine.fits(parameters):
                _checks.flat("parameters", parameters, self.architecture, self.dtype)
            flat = aligned(parameters)
        if plain(x, 2, engine.dtype) and cnp.PyArray_DIM(<cnp.ndarray>x, 1) == engine.n_in:
            n = cnp.PyArray_DIM(<cnp.ndarray>x, 0)
            result = plain_output(out, n, engine.n_out, engine.dtype, x, flat, flat)
            if result is not None:
                engine.forward(flat, x, result, False, panels)
                return result
        _checks.rows(self.architecture, self.dtype, x)
        rows = x.data if isinstance(x, CSR) else x
        result = _checks.output("out", out, (len(x), engine.n_out), self.dtype, rows, flat)
        engine.forward(flat, x if isinstance(x, CSR) else aligned(x), result, False, panels)
        return result

    def pack(self, parameters):
        """Parameters for many calls of ``predict``: a copy, in the order in which kernels read them."""
        _checks.flat("parameters", parameters, self.architecture, self.dtype)
        return Packed(self._engine, aligned(parameters))

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
            check_memory(fastmlp_reserve_entries(engine.e, &s, max(n, 1)), "the entries of x")
        with nogil:
            value = fastmlp_gradient(
                engine.e, cnp.PyArray_DATA(flat), &s, n, &p, cnp.PyArray_DATA(gradient)
            )
        if engine.custom:
            raise_pending()
        check_fault(engine.e.c_pass.fault)
        self._gradients[sparse] = rows, engine
        return value, out

    def check(self, parameters, x, target, loss, sample_weight):
        """Name what is wrong with the arguments of a loss, if anything is."""
        cdef Engine engine = self._engine
        check_loss(loss, self.architecture.output, engine.n_out)
        _checks.flat("parameters", parameters, self.architecture, self.dtype)
        _checks.rows(self.architecture, self.dtype, x, target, sample_weight, loss)

    def _take_engine(self, loss, rows, sparse):
        """An engine for gradients of that many rows that no other call uses: (rows, engine).

        It is taken out by one operation of a dictionary, not under a lock: a signal handler may come
        here while the call that it has interrupted does.
        """
        cdef Engine engine
        kept = self._gradients.pop(sparse, None)
        if kept is None or rows > kept[0]:
            rows = max(rows, 1)
            return rows, Engine(
                self.architecture, self.dtype, loss, None, rows, self._options, sparse
            )
        engine = kept[1]
        engine.set_loss(loss, self.dtype)
        return kept

    def __reduce__(self):
        return _new_network, (self.architecture, self.dtype, self.n_threads)


def _new_network(architecture, dtype, n_threads):
    return Network(architecture, dtype, n_threads=n_threads)


class Trainer:
    """See :class:`fastmlp.kernels.reference.Trainer`."""

    _shards = False  # whether steps are made in two halves

    def __init__(self, architecture, dtype, loss, update_rule, options):
        _checks.training(architecture, loss, options)
        self._architecture, self._dtype = architecture, np.dtype(dtype)
        self._rule, self._options = update_rule, options
        self._loss = Loss.of(loss)
        self._state_shape = (len(update_rule.slots), architecture.n_parameters)
        self._sparse_rows = 0  # of a batch, at most: what the engine for sparse rows is made for
        self._engine = self._new_engine()
        self._starts_above_zero = any(map(update_rule.initial_value, update_rule.slots))
        self._use = Use("Trainer")
        self.step = 0
        self.gradient_norm = None
        self._halt = None

    def _new_engine(self):
        return Engine(
            self._architecture, self._dtype, self._loss, self._rule,
            self._sparse_rows or self._options.batch_size, self._options, self._sparse_rows > 0,
            self._shards,
        )

    def _prepare(self, sparse, rows):
        """Have an engine for rows of that kind and number; parameters and state go over to it."""
        batch = min(self._options.batch_size, max(rows, 1)) if sparse else 0
        if batch <= self._sparse_rows if sparse else self._sparse_rows == 0:
            return
        before = self._engine, self._sparse_rows
        parameters, state = self._copies()
        try:
            self._sparse_rows = batch
            self._engine = self._new_engine()
            self._copy_in(parameters, state)
        except BaseException:
            self._engine, self._sparse_rows = before
            raise

    def _reload(self, parameters):
        """Go on from other parameters, with the state kept."""
        self._copy_in(parameters, self._copies()[1])

    def _copies(self):
        """Parameters and state of the last finished step."""
        parameters = np.empty(self._state_shape[1], self._dtype)
        state = np.empty(self._state_shape, self._dtype)
        self._copy_out(parameters, state)
        return parameters, state

    def _copy_in(self, cnp.ndarray parameters, state):
        cdef Engine engine = self._engine
        cdef const void *moments = NULL
        if state is not None:
            moments = cnp.PyArray_DATA(<cnp.ndarray>state)
        fastmlp_load(engine.e, cnp.PyArray_DATA(parameters), moments)

    def _copy_out(self, cnp.ndarray parameters, state):
        cdef Engine engine = self._engine
        cdef void *moments = NULL
        if state is not None:
            moments = cnp.PyArray_DATA(<cnp.ndarray>state)
        fastmlp_store(engine.e, cnp.PyArray_DATA(parameters), moments)

    def load(self, parameters, state=None, step=0):
        """Copy parameters in, and optimizer state; without one it starts anew."""
        cdef Use use = self._use
        self._check_vectors(parameters, state)
        if state is None and self._starts_above_zero:
            state = self._rule.initial_state(self._state_shape[1], 0.0, self._dtype)
        if state is not None:
            state = np.ascontiguousarray(aligned(state))
        use.begin()
        try:
            self._copy_in(aligned(parameters), state)
            self.step = int(step)
        finally:
            use.end()

    def store(self, parameters, state=None):
        """Copy parameters (and optimizer state) out, as of the last finished step."""
        self._check_vectors(parameters, state)
        cdef Engine engine = self._engine
        cdef Use use = self._use
        # What is plain is written at once.
        direct = engine.fits(parameters) and parameters.flags.writeable and (
            state is None or (plain(state, 2, engine.dtype) and state.flags.carray)
        )
        copy = parameters if direct else np.empty(self._state_shape[1], self._dtype)
        moments = state
        if state is not None and not direct:
            moments = np.empty(self._state_shape, self._dtype)
        begun = use.look()
        try:
            self._copy_out(copy, moments)
        finally:
            if begun:
                use.end()
        if not direct:
            parameters[...] = copy
            if state is not None:
                state[...] = moments

    def run_epoch(self, x, target, order, learning_rate, *, sample_weight=None):
        """Visit the rows once, in ``order`` (as they come for ``None``), one step a batch.

        The learning rate is one number, or a float64 array with one for each step. Returns the mean
        loss of the epoch, each batch's loss (with its penalty, before its update) weighted by its
        rows. Runs without the GIL; signals are looked at between steps.
        """
        cdef Samples rows
        cdef cnp.ndarray rates
        cdef double loss
        cdef long batch = self._options.batch_size
        cdef Use use = self._use

        if not few_plain_rows(self._engine, x, target, sample_weight):
            _checks.rows(self._architecture, self._dtype, x, target, sample_weight, self._loss)
        rows = Samples(x, target, sample_weight, self._dtype)
        if order is not None:
            # A copy is what is checked and used: nobody else can change it.
            order = order.copy() if isinstance(order, np.ndarray) else order
            if not plain_labels(order, len(order), max(len(x), 2)) or len(x) < 2:
                _checks.order(order, len(x))
            rows.visit(order, len(order))
        _checks.learning_rates(learning_rate, (rows.s.n_rows + batch - 1) // batch)
        rates = np.ascontiguousarray(learning_rate, dtype=np.float64)  # at least one, in a vector
        use.begin()
        try:
            self._prepare(isinstance(x, CSR), rows.s.n_rows)
            run_steps(self, self._engine, &rows.s, rates, cnp.PyArray_SIZE(rates) > 1, 1, &loss)
            return loss
        finally:
            use.end()

    def run_epochs(
        self, x, target, orders, learning_rates, *, sample_weight=None, plateau=None, out=None
    ):
        """Visit the rows once for each row of ``orders``, without Python in between."""
        cdef Samples rows
        cdef Use use = self._use
        cdef cnp.ndarray rates, losses
        bit_generator = None
        if not few_plain_rows(self._engine, x, target, sample_weight):
            _checks.rows(self._architecture, self._dtype, x, target, sample_weight, self._loss)
        out = _epochs.check(orders, learning_rates, len(x), self._options.batch_size, out)
        rows = Samples(x, target, sample_weight, self._dtype)
        if isinstance(orders, Shuffle):
            if (bit_generator := drawing(self._engine, x, orders)) is None:
                given = x, target, orders, learning_rates, sample_weight
                return _epochs.one_by_one(self, *given, plateau, out)
            orders, last = orders.order[None], orders.order
        if orders is not None:
            orders = orders.copy()
            every = orders.reshape(-1)
            if not plain_labels(every, len(every), max(len(x), 2)) or len(x) < 2:
                _checks.order(every, len(x))
            rows.visit(orders, orders.shape[1])
        rates, losses = np.ascontiguousarray(learning_rates), out.copy()
        use.begin()
        try:
            self._prepare(isinstance(x, CSR), rows.s.n_rows)
            run_steps(
                self, self._engine, &rows.s, rates, learning_rates.ndim == 2, len(out),
                <double *>cnp.PyArray_DATA(losses), bit_generator, plateau,
            )
            return out
        finally:
            out[...] = losses
            if bit_generator is not None:
                last[...] = rows.keep[len(rows.keep) - 1][0]
            use.end()

    def run_step(
        self, x, target, learning_rate, parameters, shown, sample_weight=None, of_output=False,
        low=-np.inf, high=np.inf,
    ):
        """One step with all of the rows, or ``None`` where they need a closer look."""
        cdef samples s
        cdef Use use = self._use
        cdef Engine engine = self._engine
        if (
            self._sparse_rows or not engine.fits(parameters) or not engine.fits(shown)
            or not plain_rows_of(
                &s, engine.n_in, engine.n_out, engine.dtype, x, target, sample_weight, low, high
            )
            or s.n_rows > engine.batch or (of_output and s.labels != NULL)
        ):
            return None
        if self._halt is not None and _epochs.halted(self._halt):
            raise _epochs.Halted
        use.begin()
        try:
            return single_step(self, engine, &s, learning_rate, parameters, shown, of_output)
        finally:
            use.end()

    @property
    def halt(self):
        """What another thread halts this trainer with, see :class:`fastmlp.kernels.Halted`."""
        return self._halt

    @halt.setter
    def halt(self, value):
        self._halt = _epochs.switch(value)

    @property
    def threads_in_use(self):
        """Threads that steps use at present: the fastest number so far, see src/threads/tuner.c."""
        cdef Engine engine = self._engine
        return engine.e.tuner.threads[engine.e.tuner.best]

    def _check_vectors(self, parameters, state):
        cdef Engine engine = self._engine
        if not engine.fits(parameters):
            _checks.flat("parameters", parameters, self._architecture, self._dtype)
        if state is not None:
            _checks.array("state", state, self._state_shape, self._dtype)
