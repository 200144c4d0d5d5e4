"""Replies that only their caller can read (libsodium's sealed boxes).

A request carries the public key of the process that calls.  Who reads the bus, its replicas or its files learns
neither tokens nor VNC passwords from the answers.
"""

from base64 import b64decode, b64encode

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox


class Opener:
    """The private half, made anew for each process and kept in its memory alone.

    :ivar public_key: what callers send along, as text.
    """

    def __init__(self) -> None:
        private = PrivateKey.generate()
        self._box = SealedBox(private)
        self.public_key = b64encode(bytes(private.public_key)).decode()

    def open(self, call_id: str, sealed: str) -> str:
        """What was sealed for this call.

        :raises ValueError: it was not sealed for us, or for another call.
        """
        try:
            text = self._box.decrypt(b64decode(sealed, validate=True)).decode()
        except CryptoError:
            raise ValueError("not sealed for this process") from None
        found, space, answer = text.partition(" ")
        if not space or found != call_id:
            raise ValueError("sealed for another call")
        return answer


class Sealer:
    """What seals the answer to one request.

    :raises ValueError: the key is none.
    """

    def __init__(self, public_key: str) -> None:
        try:
            self._box = SealedBox(PublicKey(b64decode(public_key, validate=True)))
        except (CryptoError, TypeError) as error:
            raise ValueError("not a public key") from error

    def seal(self, call_id: str, answer: str) -> str:
        """The answer to a call, for the holder of the private key alone.

        :raises ValueError: nothing can be sealed to this key.
        """
        try:
            return b64encode(self._box.encrypt(f"{call_id} {answer}".encode())).decode()
        except (CryptoError, RuntimeError) as error:
            raise ValueError("not a usable public key") from error
