"""The registered numbers of RFB (RFC 6143, section 8; rfbproto), each written here a second time."""

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.rfb.constants import SecurityType, security_type_name, vencrypt_subtype_name
from novnc_twisted.rfb.power import PowerCode

SECURITY_TYPES = (
    *("0 (INVALID)", "1 (NONE)", "2 (VNC)", "5 (RSA_AES)", "6 (RSA_AES_UNENCRYPTED)", "13 (RSA_AES_TWO_STEP)"),
    *("16 (TIGHT)", "17 (ULTRA)", "18 (TLS)", "19 (VENCRYPT)", "20 (SASL)", "21 (MD5)", "22 (XVP)"),
    *("30 (DIFFIE_HELLMAN)", "113 (MS_LOGON_II)", "129 (RSA_AES_256)", "130 (RSA_AES_256_UNENCRYPTED)"),
    "133 (RSA_AES_256_TWO_STEP)",
)
SUBTYPES = (
    *("256 (PLAIN)", "257 (TLS_NONE)", "258 (TLS_VNC)", "259 (TLS_PLAIN)", "260 (X509_NONE)", "261 (X509_VNC)"),
    *("262 (X509_PLAIN)", "263 (X509_SASL)", "264 (TLS_SASL)", "265 (IDENT)", "266 (TLS_IDENT)", "267 (X509_IDENT)"),
)


class ConstantsTests(SynchronousTestCase):
    def test_names_in_the_log(self) -> None:
        self.assertEqual(tuple(map(security_type_name, SecurityType)), SECURITY_TYPES)
        self.assertEqual(tuple(map(vencrypt_subtype_name, range(256, 268))), SUBTYPES)
        self.assertEqual(
            (security_type_name(3), vencrypt_subtype_name(2), vencrypt_subtype_name(268)), ("3", "2 (VNC)", "268")
        )

    def test_power_codes(self) -> None:
        self.assertEqual([(code.name, int(code)) for code in PowerCode], [("SHUTDOWN", 2), ("REBOOT", 3), ("RESET", 4)])
