"""Encryption of replies, so that only the caller can read them (libsodium's sealed boxes).

A request carries the public key of the calling process, and the reply is encrypted with this key.  So the replies do
not reveal tokens or VNC passwords to somebody who can read Redis, its replicas or its files.
"""

from base64 import b64decode, b64encode

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox


class Opener:
    """Decrypts replies.  Each process generates a private key of its own, and keeps it in memory only.

    :ivar public_key: the public key as text, sent with each request.
    """

    def __init__(self) -> None:
        private = PrivateKey.generate()
        self._box = SealedBox(private)
        self.public_key = b64encode(bytes(private.public_key)).decode()

    def open(self, call_id: str, sealed: str) -> str:
        """Decrypt the answer to a call.

        :raises ValueError: the answer is malformed, or was sealed for another process or another call.
        """
        try:
            text = self._box.decrypt(b64decode(sealed, validate=True)).decode()
        except CryptoError:
            raise ValueError("not sealed for this process") from None
        # The sealed text begins with the id of the call.  Without this id, somebody with access to Redis could pass off
        # the sealed answer to one call as the answer to another call of this process.
        found, space, answer = text.partition(" ")
        if not space or found != call_id:
            raise ValueError("sealed for another call")
        return answer


class Sealer:
    """Encrypts the answer to one request.

    :raises ValueError: the text is not a public key.
    """

    def __init__(self, public_key: str) -> None:
        try:
            self._box = SealedBox(PublicKey(b64decode(public_key, validate=True)))
        except (CryptoError, TypeError) as error:
            raise ValueError("not a public key") from error

    def seal(self, call_id: str, answer: str) -> str:
        """Encrypt the answer to a call for the holder of the private key.

        :raises ValueError: libsodium rejects the public key, for example one of zeros only.  The constructor does not
            notice this: it checks only the key's form.
        """
        try:
            return b64encode(self._box.encrypt(f"{call_id} {answer}".encode())).decode()
        except (CryptoError, RuntimeError) as error:
            raise ValueError("not a usable public key") from error
