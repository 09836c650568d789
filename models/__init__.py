"""The scorer: estimators, calibration, scale, and the artefact that carries them."""
