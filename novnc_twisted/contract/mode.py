"""What the viewer of a session may do."""

from typing import Final

CONTROL: Final = "control"
"""The viewer sees the screen, and sends keys, pointer events and clipboard texts."""

VIEW: Final = "view"
"""The viewer can only watch the screen."""

MODES: Final = (CONTROL, VIEW)
