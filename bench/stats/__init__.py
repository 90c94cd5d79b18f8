"""Models and estimators on arrays: numpy and scipy, no pandas; arrays in, intervals out."""
