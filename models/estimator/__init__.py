"""The fitted estimator, as it scores; imports neither scikit-learn nor LightGBM's Python."""
