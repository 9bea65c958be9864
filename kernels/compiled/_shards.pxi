"""Steps that several processes share. Included by _core.pyx."""

class ShardTrainer(Trainer):
    """See :class:`fastmlp.kernels.reference.ShardTrainer`."""

    _shards = True

    @property
    def gradient(self):
        """The gradient in the order of the engine's panels; a view of its memory."""
        cdef Engine engine = self._engine
        cdef cnp.npy_intp n = engine.e.design.n_packed
        cdef cnp.ndarray seen = cnp.PyArray_SimpleNewFromData(
            1, &n, engine.dtype, engine.e.arena.gradient
        )
        cnp.set_array_base(seen, engine)
        return seen

    def differentiate(
        self, x, target, cuts, total, *, sample_weight=None, position=0,
    ):
        """Write the gradient of some shards of a batch, and return the loss of each."""
        cdef Samples rows
        cdef Engine engine
        cdef Use use = self._use
        cdef shards s
        cdef cnp.ndarray places, losses
        cdef long step
        cdef unsigned long mode
        _checks.rows(self._architecture, self._dtype, x, target, sample_weight, self._loss)
        _steps.check_shards(cuts, len(x), self._options.batch_size, isinstance(x, CSR))
        rows = Samples(x, target, sample_weight, self._dtype)
        places, losses = np.array(cuts, np.dtype("long")), np.zeros(len(cuts) - 1)
        s.cuts, s.n = <const long *>cnp.PyArray_DATA(places), len(cuts) - 1
        s.position, s.total = position, total
        use.begin()
        try:
            self._prepare(isinstance(x, CSR), rows.s.n_rows)
            engine = self._engine
            if self._sparse_rows:
                reserve_entries(engine, &rows.s, max(rows.s.n_rows, 1), 1)
            step = self.step + 1
            with nogil:
                mode = fastmlp_enter_steps(not engine.calls_back)
                fastmlp_shards(
                    engine.e, &rows.s, &s, step, <double *>cnp.PyArray_DATA(losses)
                )
                fastmlp_tuner_pause(&engine.e.tuner)
                fastmlp_leave_steps(mode)
            if engine.custom:
                raise_pending()
            check_fault(engine.e.c_pass.fault)
            return losses
        finally:
            use.end()

    def descend(self, learning_rate, total):
        """Make the step along :attr:`gradient`; the penalty before it."""
        cdef Engine engine = self._engine
        cdef Use use = self._use
        cdef c_update u = engine.update
        cdef penalty p = engine.penalty
        cdef double weight = total, value
        cdef unsigned long mode
        _checks.learning_rates(learning_rate, 1)
        use.begin()
        try:
            fastmlp_update_at(&u, <double>(self.step + 1), learning_rate)
            with nogil:
                mode = fastmlp_enter_steps(not engine.calls_back)
                value = fastmlp_descend(engine.e, weight, &p, &u)
                fastmlp_leave_steps(mode)
            self.step += 1
            if engine.with_norm:
                self.gradient_norm = engine.e.gradient_norm
            return value
        finally:
            use.end()
