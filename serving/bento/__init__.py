"""BentoML: model store, processes, new champions."""
