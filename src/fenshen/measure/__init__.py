"""Measures of quality: functions on features. No file here knows a model."""
