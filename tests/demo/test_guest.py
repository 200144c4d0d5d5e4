"""The demo's guest: its machine code and its boot sector."""

from twisted.trial.unittest import TestCase

from demo import guest


class AssembleTests(TestCase):
    """assemble() replaces labels with addresses and distances."""

    def test_references(self) -> None:
        """Absolute words, call distances and jump distances, forward and backward."""
        listing = "a:\n EB ~b ; jmp b\n E8 ^a ; call a\nb:\n BE =a ; mov si, a\n 75 ~b ; jne b\n"
        self.assertEqual(guest.assemble(listing).hex(" "), "eb 03 e8 fb ff be 00 7c 75 fb")

    def test_unknown_label(self) -> None:
        """A missing label is named."""
        self.assertRaisesRegex(ValueError, "no label there", guest.assemble, "E8 ^there")

    def test_too_far(self) -> None:
        """A short jump reaches 127 bytes."""
        self.assertRaisesRegex(ValueError, "b is too far", guest.assemble, "EB ~b\n" + "90 " * 128 + "\nb:\n")


class SectorTests(TestCase):
    """What the BIOS reads."""

    def test_sector(self) -> None:
        """512 bytes, the signature, the name."""
        sector = guest.boot_sector("myserver20")
        self.assertEqual(len(sector), guest.SECTOR)
        self.assertEqual(sector[-2:], b"\x55\xaa")
        self.assertIn(b"the screen of myserver20,", sector)

    def test_names(self) -> None:
        """Only printable ASCII is shown; a name that leaves no room is refused."""
        self.assertIn(b"the screen of caf?,", guest.boot_sector("caf\u00e9"))
        self.assertRaisesRegex(ValueError, "too long", guest.boot_sector, "x" * 200)
