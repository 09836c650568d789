"""Fits the estimator with scikit-learn and LightGBM."""
