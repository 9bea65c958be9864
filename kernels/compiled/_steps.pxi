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


cdef void shuffle(int64_t *order, long n, bitgen_t *bits) noexcept nogil:
    """Shuffle as NumPy's generators do, with numbers of so many bits, drawn until one fits.

    A draw in four does not, and which nobody can predict: instead of a loop until one does, every draw
    swaps two places, of which one that does not fit makes the same one twice.
    """
    cdef uint32_t mask = 0xffffffff
    cdef long i = n - 1, j, fits
    cdef int64_t here
    while i > 0:
        while mask >> 1 >= <uint32_t>i:
            mask >>= 1
        j = bits.next_uint32(bits.state) & mask
        fits = j <= i
        j = i + (j - i) * fits
        here = order[i]
        order[i] = order[j]
        order[j] = here
        i -= fits


def shuffled(generators, orders, long count):
    """Orders that generators shuffle, each one from the other: ``(k, count, n)``, without the GIL."""
    cdef cnp.ndarray last = np.array(orders, np.int64)
    cdef long k = cnp.PyArray_DIM(last, 0), n = cnp.PyArray_DIM(last, 1), i, epoch
    cdef cnp.ndarray found = np.empty((k, count, n), np.int64)
    cdef cnp.ndarray addresses = np.empty(k, np.uintp)
    cdef bitgen_t **bits = <bitgen_t **>cnp.PyArray_DATA(addresses)
    cdef int64_t *now = <int64_t *>cnp.PyArray_DATA(found)
    cdef const int64_t *before
    # One lock each, in an order that all callers have.
    locks = {id(generator.bit_generator): generator.bit_generator.lock for generator in generators}
    for i, generator in enumerate(generators):
        bits[i] = <bitgen_t *>PyCapsule_GetPointer(
            generator.bit_generator.capsule, "BitGenerator"
        )
    with contextlib.ExitStack() as held:
        for name in sorted(locks):
            held.enter_context(locks[name])
        with nogil:
            for i in range(k):
                before = <const int64_t *>cnp.PyArray_DATA(last) + i * n
                for epoch in range(count):
                    memcpy(now, before, n * sizeof(int64_t))
                    shuffle(now, n, bits[i])
                    before = now
                    now += n
    return found


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


cdef int run_steps(
    trainer, Engine engine, samples *s, cnp.ndarray rates, bint rate_of_step, long n_epochs,
    double *losses,
) except -1:
    """The steps of some epochs; the mean loss of the rows of each is written to ``losses``.

    ``rates`` has one for each step (``rate_of_step``), or epoch; an order one epoch after the other.
    """
    cdef c_update u = engine.update
    cdef const double *rate = <const double *>cnp.PyArray_DATA(rates)
    cdef long at = 0, n = s.n_rows, batch = trainer._options.batch_size, step = trainer.step, here
    cdef long epoch = 0, uninterrupted, steps_between_signals
    cdef double total = 0
    cdef unsigned long mode
    cdef penalty p = penalty_of(trainer._options)
    cdef object finished, halt = trainer._halt  # held here: the trainer may get another meanwhile
    cdef const volatile int32_t *halted = switch_of(halt)
    engine.e.c_pass.fault = 0
    try:
        if trainer._sparse_rows:
            reserve_entries(engine, s, min(batch, max(n, 1)), n_epochs)
        steps_between_signals = 1 if engine.calls_back else steps_in_a_while(engine, min(batch, n))
        while epoch < n_epochs:
            if halted != NULL and halted[0]:
                raise _epochs.Halted
            finished = trainer._copies() if engine.calls_back else None
            with nogil:
                mode = fastmlp_enter_steps(not engine.calls_back)
                uninterrupted = steps_between_signals
                while epoch < n_epochs and uninterrupted > 0:
                    if at < n:
                        here = batch if n - at > batch else n - at
                        fastmlp_update_at(&u, <double>(step + 1), rate[0])
                        total += here * fastmlp_step(engine.e, s, at, here, step + 1, &p, &u)
                        if engine.e.c_pass.fault:
                            break
                        step += 1
                        at += here
                        rate += rate_of_step
                    if at >= n:
                        fastmlp_end_epoch(engine.e)
                        losses[epoch] = total / n if n else 0.0
                        epoch += 1
                        at, total, rate = 0, 0, rate + (not rate_of_step)
                        if s.order != NULL:
                            s.order += n
                    uninterrupted -= 1
                    if halted != NULL and halted[0]:
                        break
                fastmlp_tuner_pause(&engine.e.tuner)
                fastmlp_leave_steps(mode)
            if engine.custom:
                check_callbacks(trainer, finished)
            trainer.step = step
            check_fault(engine.e.c_pass.fault)
            PyErr_CheckSignals()
    finally:
        fastmlp_end_epoch(engine.e)
        if trainer._options.with_norm and n:
            trainer.gradient_norm = engine.e.gradient_norm
    return 0
