"""The loop over the steps of one or several epochs. Included by _core.pyx."""

@cython.final
@cython.internal
cdef class Samples:
    """The rows of a call as C takes them, and the arrays that they are in."""

    cdef samples s
    cdef list keep

    def __cinit__(self, x, target, sample_weight, dtype):
        memset(&self.s, 0, sizeof(samples))
        self.keep = []
        self.s.n_rows = len(x)
        set_rows(&self.s, self.keep, x)
        set_targets(&self.s, self.keep, target, sample_weight, np.dtype(dtype).num)

    cdef int visit(self, order, long n) except -1:
        """Visit ``n`` rows in each epoch, in the order of an array that nobody else changes."""
        cdef cnp.ndarray indices = np.ascontiguousarray(order, dtype=np.int64)
        self.keep.append(indices)
        self.s.order, self.s.n_rows = <const int64_t *>cnp.PyArray_DATA(indices), n
        return 0


cdef int reserve_entries(Engine engine, const samples *s, long batch, long n_epochs) except -1:
    """Memory for the stored entries of the largest batch of any of the epochs."""
    cdef samples each = s[0]
    cdef long epoch
    for epoch in range(n_epochs):
        check_memory(fastmlp_reserve_entries(engine.e, &each, batch), "the entries of x")
        if each.order == NULL:
            break
        each.order += each.n_rows
    return 0


cdef penalty penalty_of(options):
    cdef penalty p
    p.l2, p.l1, p.over_batch = options.l2, options.l1, options.l2_over_batch
    return p


cdef const volatile int32_t *switch_of(object halt):
    """Where another thread says that no further step is to be made, or ``NULL``."""
    if halt is None:
        return NULL
    return <const volatile int32_t *>cnp.PyArray_DATA(<cnp.ndarray>halt)


cdef long steps_in_a_while(Engine engine, long rows):
    """Steps of about 10 ms together on one slow core."""
    return 1 + <long>(1e8 / (fastmlp_operations(engine.e, rows) + 3e4))


cdef int check_callbacks(trainer, finished) except -1:
    """Raise what functions of the user have raised; the trainer goes back to what was finished."""
    try:
        raise_pending()
    except BaseException:
        if finished is not None:
            trainer._copy_in(*finished)
        raise
    return 0


cdef struct epochs:
    long at, n, batch, step, epoch, n_epochs  # rows of this epoch that were visited, and of all …
    double total                              # their losses
    const double *rate
    bint rate_of_step
    double *losses
    drawing_bits drawn_from
    const volatile int32_t *halted
    plateau_so_far plateau


cdef void steps_for_a_while(
    Engine engine, samples *s, epochs *e, penalty *p, c_update *u, long most
) noexcept nogil:
    """Make some steps, or fewer where epochs end, a step fails or somebody halts them."""
    cdef long here
    while e.epoch < e.n_epochs and most > 0:
        if e.drawn_from.bits != NULL and e.at == 0:
            shuffle(<int64_t *>s.order, e.n, &e.drawn_from)
        if e.at < e.n:
            here = e.batch if e.n - e.at > e.batch else e.n - e.at
            fastmlp_update_at(u, <double>(e.step + 1), e.rate[0])
            e.total += here * fastmlp_step(engine.e, s, e.at, here, e.step + 1, p, u)
            if engine.e.c_pass.fault:
                break
            e.step += 1
            e.at += here
            e.rate += e.rate_of_step
        if e.at >= e.n:
            fastmlp_end_epoch(engine.e)
            e.losses[e.epoch] = e.total / e.n if e.n else 0.0
            if reached_after(&e.plateau, e.losses[e.epoch]):
                e.n_epochs = e.epoch + 1
            e.epoch += 1
            e.at, e.total, e.rate = 0, 0, e.rate + (not e.rate_of_step)
            if s.order != NULL and e.drawn_from.bits == NULL:
                s.order += e.n
        most -= 1
        if e.halted != NULL and e.halted[0]:
            break
    fastmlp_tuner_pause(&engine.e.tuner)


cdef void make_steps(
    Engine engine, samples *s, epochs *e, penalty *p, c_update *u, long most
) noexcept:
    """Make them without the GIL."""
    cdef unsigned long mode
    with nogil:
        mode = fastmlp_enter_steps(not engine.calls_back)
        steps_for_a_while(engine, s, e, p, u, most)
        fastmlp_leave_steps(mode)


cdef int run_steps(
    trainer, Engine engine, samples *s, cnp.ndarray rates, bint rate_of_step, long n_epochs,
    double *losses, bit_generator=None, plateau=None,
) except -1:
    """The steps of some epochs; the mean loss of the rows of each is written to ``losses``.

    ``rates`` has one for each step (``rate_of_step``), or epoch; an order one epoch after the other.
    With a bit generator the order is one, which each epoch shuffles before its first step. Epochs end
    where a :class:`fastmlp.kernels.Plateau` is reached.
    """
    cdef epochs e
    cdef c_update u = engine.update
    cdef penalty p = penalty_of(trainer._options)
    cdef object finished, halt = trainer._halt  # held here: the trainer may get another meanwhile
    cdef long steps_between_signals
    memset(&e, 0, sizeof(epochs))
    e.n, e.batch, e.step, e.n_epochs = s.n_rows, trainer._options.batch_size, trainer.step, n_epochs
    e.rate, e.rate_of_step, e.losses = <const double *>cnp.PyArray_DATA(rates), rate_of_step, losses
    e.drawn_from, e.halted = bits_of(bit_generator), switch_of(halt)
    e.plateau = plateau_at(plateau)
    engine.e.c_pass.fault = 0
    try:
        if trainer._sparse_rows:
            reserve_entries(engine, s, min(e.batch, max(e.n, 1)), n_epochs)
        steps_between_signals = 1
        if not engine.calls_back:
            steps_between_signals = steps_in_a_while(engine, min(e.batch, e.n))
        while e.epoch < e.n_epochs:
            if e.halted != NULL and e.halted[0]:
                raise _epochs.Halted
            finished = trainer._copies() if engine.calls_back else None
            if bit_generator is None:
                make_steps(engine, s, &e, &p, &u, steps_between_signals)
            else:
                with bit_generator.lock:
                    engine.e.c_pass.interrupted = NULL  # a signal handler might wait for the lock
                    make_steps(engine, s, &e, &p, &u, steps_between_signals)
                    engine.e.c_pass.interrupted = signals_say_stop
            if engine.custom:
                check_callbacks(trainer, finished)
            trainer.step = e.step
            check_fault(engine.e.c_pass.fault)
            PyErr_CheckSignals()
    finally:
        fastmlp_end_epoch(engine.e)
        if trainer._options.with_norm and e.n:
            trainer.gradient_norm = engine.e.gradient_norm
    return 0
