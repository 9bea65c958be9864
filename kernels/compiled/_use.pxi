"""Who uses a trainer: one thread at a time. Included by _core.pyx."""

cdef extern from "pythread.h":
    unsigned long PyThread_get_thread_ident() noexcept

cdef extern from *:
    """
    static inline int fastmlp_take(unsigned long *user, unsigned long thread) {
        unsigned long nobody = 0;
        return __atomic_compare_exchange_n(
            user, &nobody, thread, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
    }
    static inline void fastmlp_give_back(unsigned long *user) {
        __atomic_store_n(user, 0, __ATOMIC_RELEASE);
    }
    static inline unsigned long fastmlp_user(const unsigned long *user) {
        return __atomic_load_n(user, __ATOMIC_RELAXED);
    }
    """
    bint fastmlp_take(unsigned long *user, unsigned long thread) noexcept
    void fastmlp_give_back(unsigned long *user) noexcept
    unsigned long fastmlp_user(const unsigned long *user) noexcept


@cython.final
@cython.internal
cdef class Use:
    """The thread that is within a call of a trainer, if any: one word, as a lock of Python's takes longer."""

    cdef unsigned long user  # 0 is nobody
    cdef str trainer         # what messages call it

    def __cinit__(self, trainer):
        self.trainer = trainer

    cdef int begin(self) except -1:
        """Take the trainer for one call, or raise: nothing of it has been touched then.

        What a signal handler or a function of the user does between ``begin`` and ``end``, in that
        thread or another, raises; only ``store`` of the same thread is answered, with the parameters of
        the last finished step.
        """
        cdef unsigned long here = PyThread_get_thread_ident()
        if not fastmlp_take(&self.user, here):
            who = "a call of this" if self.mine() else "another"
            raise RuntimeError(f"this {self.trainer} is in use by {who} thread")
        return 0

    cdef bint look(self) except -1:
        """Begin, but for a thread that is within a call and may look at what that has finished.

        Between two steps of a run it may, and before the weights of one change. Returns whether
        the call is to be ended.
        """
        return False if self.mine() else self.begin() == 0

    cdef void end(self) noexcept:
        fastmlp_give_back(&self.user)

    cdef bint mine(self) noexcept:
        """Whether this thread is within a call."""
        return fastmlp_user(&self.user) == PyThread_get_thread_ident()
