"""What a challenger must pass before it becomes champion."""
