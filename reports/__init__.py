"""For the marketer: charts and pages."""
