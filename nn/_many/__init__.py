"""Many networks at once.

``fitting`` is :func:`fastmlp.fit_many`: ``arguments`` says what each network gets, ``rows`` which
rows of shared arrays, ``crew`` are the threads that train them, ``progress`` shows how many are
done. ``prediction`` is :func:`fastmlp.predict_many`.

``ensemble`` is :class:`fastmlp.MLPEnsemble`: ``settings`` are drawn for its networks, ``selection``
says which of them count, ``files`` keeps them. ``estimators`` are the ensembles with scikit-learn's
contract, whose copies ``estimating`` fits, as it does for ``fastmlp.model_selection``.
``groups`` is :class:`fastmlp.GroupedMLP`.
"""
