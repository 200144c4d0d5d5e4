"""The demo's guest: its own boot sector, which shows the keys that are typed.

512 bytes, no operating system: it sets standard VGA text (80 x 25, 720 x 400 pixels), shows the server's name,
echoes what is typed, supports Enter and Backspace, scrolls, and halts the processor between keys, so that it costs no
CPU even when QEMU emulates it.  The BIOS restarts it at Ctrl-Alt-Del.

The listing below is the program: machine code on the left, its meaning after the semicolon.  :func:`assemble` only
inserts addresses, so building it needs no other program.
"""

import re

SECTOR = 512
"""Bytes in a boot sector; its last two are the signature 55 AA."""

ORIGIN = 0x7C00
"""Where a PC's BIOS loads a boot sector."""

# =name: a label's address, two bytes.  ~name: a jump's distance, one byte.  ^name: a call's distance, two bytes.
# The cursor lives in dx (dh: row, dl: column); colours are 1F (white on blue) and 70 (black on grey).
LISTING = """
start:
    EA =begin 00 00         ; jmp  0:begin            some BIOSes start at 7C0:0
begin:
    31 C0                   ; xor  ax, ax
    8E D8                   ; mov  ds, ax
    8E D0                   ; mov  ss, ax
    BC 00 7C                ; mov  sp, 7C00
    FB                      ; sti
    FC                      ; cld
    B8 03 00                ; mov  ax, 0003           text mode, 80 x 25
    CD 10                   ; int  10
    B8 00 06                ; mov  ax, 0600           clear the screen, white on blue
    B7 1F                   ; mov  bh, 1F
    31 C9                   ; xor  cx, cx
    BA 4F 18                ; mov  dx, 184F
    CD 10                   ; int  10
    B8 00 06                ; mov  ax, 0600           and row 0, black on grey
    B7 70                   ; mov  bh, 70
    B6 00                   ; mov  dh, 0
    CD 10                   ; int  10
    BE =banner              ; mov  si, banner
    30 FF                   ; xor  bh, bh             page 0, from here on
print:
    AC                      ; lodsb
    08 C0                   ; or   al, al
    74 ~prompt              ; jz   prompt
    B4 0E                   ; mov  ah, 0E             teletype keeps the colours
    CD 10                   ; int  10
    EB ~print               ; jmp  print
prompt:
    BA 00 06                ; mov  dx, 0600           where typing begins
    E8 ^arrow               ; call arrow
key:
    B4 02                   ; mov  ah, 02             put the cursor at dx
    30 FF                   ; xor  bh, bh
    CD 10                   ; int  10
wait:
    B4 01                   ; mov  ah, 01             is there a key?
    CD 16                   ; int  16
    75 ~read                ; jnz  read
    F4                      ; hlt                     no: sleep until an interrupt
    EB ~wait                ; jmp  wait
read:
    B4 00                   ; mov  ah, 00
    CD 16                   ; int  16
    3C 0D                   ; cmp  al, 0D
    74 ~enter               ; je   enter
    3C 08                   ; cmp  al, 08
    74 ~erase               ; je   erase
    3C 20                   ; cmp  al, 20             other keys that print nothing
    72 ~key                 ; jb   key
    3C 7E                   ; cmp  al, 7E
    77 ~key                 ; ja   key
    E8 ^put                 ; call put
    42                      ; inc  dx
    80 FA 50                ; cmp  dl, 80.
    72 ~key                 ; jb   key
    E8 ^newline             ; call newline            the line is full: use the next
    EB ~key                 ; jmp  key
enter:
    E8 ^newline             ; call newline
    E8 ^arrow               ; call arrow
    EB ~key                 ; jmp  key
erase:
    80 FA 02                ; cmp  dl, 2              the arrow stays
    76 ~key                 ; jbe  key
    4A                      ; dec  dx
    B0 20                   ; mov  al, ' '
    E8 ^put                 ; call put
    EB ~key                 ; jmp  key
newline:
    B2 02                   ; mov  dl, 2
    80 FE 18                ; cmp  dh, 24.
    73 ~scroll              ; jae  scroll
    FE C6                   ; inc  dh
    C3                      ; ret
scroll:
    52                      ; push dx
    B8 01 06                ; mov  ax, 0601           scroll up by one, below the banner
    B7 1F                   ; mov  bh, 1F
    B9 00 06                ; mov  cx, 0600
    BA 4F 18                ; mov  dx, 184F
    CD 10                   ; int  10
    5A                      ; pop  dx
    C3                      ; ret
arrow:
    B2 00                   ; mov  dl, 0
    B0 3E                   ; mov  al, '>'
    E8 ^put                 ; call put
    B2 02                   ; mov  dl, 2
    C3                      ; ret
put:
    50                      ; push ax                 the character in al, at dx
    B4 02                   ; mov  ah, 02
    30 FF                   ; xor  bh, bh
    CD 10                   ; int  10
    58                      ; pop  ax
    B4 09                   ; mov  ah, 09
    BB 1F 00                ; mov  bx, 001F
    B9 01 00                ; mov  cx, 1
    CD 10                   ; int  10
    C3                      ; ret
banner:
"""

BANNER = (
    " {name}\r\n\r\n"
    " You are looking at the screen of {name}, a real virtual machine.\r\n"
    " It has no operating system, only a boot sector that echoes your keys.\r\n\r\n"
    " Type here:"
)


def assemble(listing: str) -> bytes:
    """Return the machine code of a listing: lines of ``label:`` or ``bytes and references ; meaning``.

    :raises ValueError: if a label does not exist, or is too far away for a one-byte jump.
    """
    labels: dict[str, int] = {}
    items: list[tuple[int, str]] = []  # (address, a byte or a reference)
    address = ORIGIN
    for line in listing.splitlines():
        code = line.partition(";")[0].strip()
        if code.endswith(":"):
            labels[code[:-1]] = address
            continue
        for item in code.split():
            items.append((address, item))
            address += 2 if item[0] in "=^" else 1
    code_bytes = bytearray()
    for address, item in items:
        kind, name = item[0], item[1:]
        if kind not in "=^~":
            code_bytes.append(int(item, 16))
            continue
        if name not in labels:
            raise ValueError(f"no label {name}")
        if kind == "=":
            code_bytes += labels[name].to_bytes(2, "little")
        else:  # a distance is counted from the end of its own bytes
            size = 2 if kind == "^" else 1
            try:
                code_bytes += (labels[name] - address - size).to_bytes(size, "little", signed=True)
            except OverflowError:
                raise ValueError(f"{name} is too far away") from None
    return bytes(code_bytes)


def boot_sector(name: str) -> bytes:
    """Return the guest's boot sector, which shows the server's name.  It is a complete image of a floppy disk.

    :param name: the server's name; only its printable ASCII is shown.
    :raises ValueError: if the name is too long.
    """
    shown = re.sub(r"[^ -~]", "?", name)
    program = assemble(LISTING) + BANNER.format(name=shown).encode("ascii") + b"\0"
    if len(program) > SECTOR - 2:
        raise ValueError(f"the name is {len(program) - SECTOR + 2} bytes too long for the demo's boot sector")
    return program.ljust(SECTOR - 2, b"\0") + b"\x55\xaa"
