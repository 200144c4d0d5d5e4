"""A guest's keyboard: what a Linux desktop reads from pressed keys, with one of xkeyboard-config's layouts.

It uses libxkbcommon, the library that such desktops use themselves, and X's compose tables for dead keys.
"""

import ctypes

LETTERS = {
    "AD": (
        "KeyQ",
        "KeyW",
        "KeyE",
        "KeyR",
        "KeyT",
        "KeyY",
        "KeyU",
        "KeyI",
        "KeyO",
        "KeyP",
        "BracketLeft",
        "BracketRight",
    ),
    "AC": ("KeyA", "KeyS", "KeyD", "KeyF", "KeyG", "KeyH", "KeyJ", "KeyK", "KeyL", "Semicolon", "Quote"),
    "AB": ("KeyZ", "KeyX", "KeyC", "KeyV", "KeyB", "KeyN", "KeyM", "Comma", "Period", "Slash", "IntlRo"),
    "AE": (*(f"Digit{n % 10}" for n in range(1, 11)), "Minus", "Equal", "IntlYen"),
}
KEYS = {code: f"{row}{n:02}" for row, codes in LETTERS.items() for n, code in enumerate(codes, 1)} | {
    "Backquote": "TLDE",
    "Backslash": "BKSL",
    "IntlBackslash": "LSGT",
    "Space": "SPCE",
    "ShiftLeft": "LFSH",
    "AltRight": "RALT",
}
"""DOM code -> XKB's name of the key."""

COMPOSING, COMPOSED, CANCELLED = 1, 2, 3
"""Results of xkb_compose_state_get_status; 0 means that no sequence has begun."""

_FUNCTIONS = {
    "xkb_context_new": ("p", "i"),
    "xkb_keymap_new_from_names": ("p", "ppi"),
    "xkb_keymap_key_by_name": ("u", "ps"),
    "xkb_state_new": ("p", "p"),
    "xkb_state_update_key": ("u", "pui"),
    "xkb_state_key_get_one_sym": ("u", "pu"),
    "xkb_keysym_to_utf32": ("u", "u"),
    "xkb_compose_table_new_from_locale": ("p", "psi"),
    "xkb_compose_state_new": ("p", "pi"),
    "xkb_compose_state_feed": ("i", "pu"),
    "xkb_compose_state_get_status": ("i", "p"),
    "xkb_compose_state_get_utf8": ("i", "pbn"),
    "xkb_compose_state_reset": (None, "p"),
}
_TYPES = {
    "p": ctypes.c_void_p,
    "i": ctypes.c_int,
    "u": ctypes.c_uint32,
    "s": ctypes.c_char_p,
    "b": ctypes.c_char_p,
    "n": ctypes.c_size_t,
    None: None,
}


class XkbGuest:
    """One keyboard; ``source`` is a layout of xkeyboard-config such as ``ch(fr)``."""

    def __init__(self, source: str, locale: str = "en_US.UTF-8") -> None:
        self._library = library = ctypes.CDLL("libxkbcommon.so.0")
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = _TYPES[result], [_TYPES[each] for each in arguments]
        layout, _, variant = source.rstrip(")").partition("(")
        context = library.xkb_context_new(0)
        names = (ctypes.c_char_p * 5)(b"evdev", b"pc105", layout.encode(), variant.encode(), b"")
        self._keymap = library.xkb_keymap_new_from_names(context, names, 0)
        self._state = library.xkb_state_new(self._keymap)
        table = library.xkb_compose_table_new_from_locale(context, locale.encode(), 0)
        if not table:
            raise FileNotFoundError(f"no compose table of {locale}: apt-get install libx11-data")
        self._compose = library.xkb_compose_state_new(table, 0)

    def press(self, codes: list[str]) -> str:
        """Press these keys in order and release them; return the text that the desktop reads."""
        keys = [self._library.xkb_keymap_key_by_name(self._keymap, KEYS[code].encode()) for code in codes]
        for key in keys[:-1]:
            self._library.xkb_state_update_key(self._state, key, 1)
        keysym = self._library.xkb_state_key_get_one_sym(self._state, keys[-1])
        for key in keys[:-1]:
            self._library.xkb_state_update_key(self._state, key, 0)
        self._library.xkb_compose_state_feed(self._compose, keysym)
        status = self._library.xkb_compose_state_get_status(self._compose)
        if status == COMPOSED:
            buffer = ctypes.create_string_buffer(64)
            self._library.xkb_compose_state_get_utf8(self._compose, buffer, 64)
            self._library.xkb_compose_state_reset(self._compose)
            return buffer.value.decode()
        if status == COMPOSING:
            return ""
        if status == CANCELLED:
            self._library.xkb_compose_state_reset(self._compose)
            return "\N{REPLACEMENT CHARACTER}"
        return chr(self._library.xkb_keysym_to_utf32(keysym))
