"""For the data scientist: train, evaluate, track."""
