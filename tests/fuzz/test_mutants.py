"""Check that the fuzz targets can fail: plant one bug at a time in a parser, and expect the corpus to find it.

The corpus alone finds each bug, so that the result does not depend on chance.
"""

import inspect
import re
from collections.abc import Callable
from importlib import import_module
from types import FunctionType, SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.stretch import in_time
from tests.fuzz.table import corpus, targets

RFB, ACCESS = "novnc_twisted.rfb", "novnc_twisted.access"
PLUGINS = "novnc_twisted.token_plugins"

CONSTANTS = (str, bytes, int, tuple, frozenset, re.Pattern)


def plant(test: SynchronousTestCase, module: str, old: str, new: str) -> None:
    """Replace a piece of a module's source, in place, until the end of the test.

    Modules that imported its functions and classes have the bug as well, because their code objects are replaced.
    """
    original = import_module(module)
    source = inspect.getsource(original)
    if source.count(old) != 1:
        raise LookupError(f"update this bug: {module} must contain this once, not {source.count(old)} times: {old}")
    names: dict[str, Any] = {
        "__name__": module,
        "__package__": module.rpartition(".")[0],
        "__file__": original.__file__,
    }
    exec(compile(source.replace(old, new), f"{module} with a bug", "exec"), names)
    for name, value in names.items():
        mine = vars(original).get(name)
        if isinstance(value, (FunctionType, type)) and getattr(value, "__module__", "") == module:
            for one, other in zip(codes(mine), codes(value), strict=True):
                test.patch(one, "__code__", other.__code__)
            for attribute in vars(value):
                copy(test, value, mine, attribute)
        else:
            copy(test, SimpleNamespace(**names), original, name)


def copy(test: SynchronousTestCase, source: Any, target: Any, name: str) -> None:
    """Copy a constant of a module or class if the bug changed it, until the end of the test."""
    value = vars(source)[name]
    if not name.startswith("__") and isinstance(value, CONSTANTS) and value != vars(target).get(name):
        test.patch(target, name, value)


def codes(value: Any) -> list[FunctionType]:
    """The functions of a function, class or property, in a fixed order."""
    if isinstance(value, FunctionType):
        return [value]
    if isinstance(value, (classmethod, staticmethod)):
        return codes(value.__func__)
    if isinstance(value, property):
        return [function for part in (value.fget, value.fset) for function in codes(part)]
    if isinstance(value, type) and value.__module__.startswith("novnc_twisted"):
        return [function for name in sorted(vars(value)) for function in codes(vars(value)[name])]
    return []


def planted(target: str, module: str, old: str, new: str) -> Callable[[SynchronousTestCase], None]:
    """Return a test that plants one bug, and expects the corpus of a target to find it."""

    def test(self: SynchronousTestCase) -> None:
        plant(self, module, old, new)
        self.assertTrue(found(target), f"no input of the corpus finds: {new} in {module}")

    return test


def found(name: str) -> bool:
    """Whether a target fails for an input of its corpus."""
    target = targets()[name]
    try:
        for data in corpus(name):
            in_time(target.run, data)
    except Exception:
        return True
    return False


class MutantTests(SynchronousTestCase):
    """One test for each planted bug, named after its target and the advisory or the mistake."""

    test_rfb_login_an_empty_screen = planted("rfb-login", f"{RFB}.login", "(0 < width", "(0 <= width")
    test_rfb_login_a_reason_of_4_gib = planted("rfb-login", f"{RFB}.login", "min(length, MAX_REASON)", "length")
    test_json_a_line_of_the_log_broken = planted(
        "json", "novnc_twisted.errors", '_UNSAFE.sub("?", detail[:MAX_DETAIL])', "detail[:MAX_DETAIL]"
    )
    test_rfb_login_the_server_s_order_a_downgrade = planted(
        "rfb-login",
        f"{RFB}.login",
        "for scheme in schemes.values() if scheme[0] in offered",
        "for number in offered for scheme in schemes.values() if scheme[0] == number",
    )
    test_rfb_login_a_flood = planted(
        "rfb-login", f"{RFB}.handshake", "if self._need is None and len(self._received) > self._limit", "if False"
    )
    test_rfb_vencrypt_injected = planted("rfb-vencrypt", f"{RFB}.handshake", "elif self._received:", "elif False:")
    test_rfb_offer_cve_2006_2369 = planted(
        "rfb-offer", f"{RFB}.offer", "if choice != SecurityType.NONE", "if choice == SecurityType.VNC"
    )
    test_rfb_refuse_3_3 = planted(
        "rfb-refuse", f"{RFB}.offer", '_COUNTS_AS_3_3 = (VERSION_3_3, b"RFB 003.005\\n")', "_COUNTS_AS_3_3 = ()"
    )
    test_shield_half_a_message_passes = planted("shield", f"{RFB}.shield", "if at > end:", "if False:")
    test_shield_cve_2023_3255 = planted("shield", f"{RFB}.shield", "if self._stream.unused_data:", "if False:")
    test_shield_cve_2008_2382 = planted("shield", f"{RFB}.shield", "or [Encoding.RAW]", "")
    test_shield_a_map_of_2_32_colours = planted("shield", f"{RFB}.shield", "good = good and bits == 8", "pass")
    test_shield_a_fence_of_another_length = planted(
        "shield", f"{RFB}.client_messages", "length = head[8]", "length = head[7]"
    )
    test_view_only_lets_keys_pass = planted(
        "view-only", f"{RFB}.view_only", "ClientMessage.SET_PIXEL_FORMAT,", "ClientMessage.KEY_EVENT,"
    )
    test_view_only_forgets_what_is_under_way = planted(
        "view-only", f"{RFB}.view_only", "self._left -= piece", "self._left = 0"
    )
    test_server_messages_a_cut_head = planted(
        "server-messages",
        f"{RFB}.server_messages",
        'data, self._held = self._held + data, b""',
        'self._held = b""',
    )
    test_server_messages_an_extended_text_passes = planted(
        "server-messages", f"{RFB}.clipboard", "or 0 < piece.length <= limit", "or piece.length <= limit"
    )
    test_frames_the_mask_is_not_turned = planted(
        "frames", "novnc_twisted.relay.frames", "turn = len(part) & 3", "turn = 0"
    )
    test_frames_lengths = planted(
        "frames", "novnc_twisted.relay.frames", "if length < 126 or (wide == 8 and length < 65536):", "if False:"
    )
    test_text_frames_a_limit_of_each_piece = planted(
        "text-frames",
        "novnc_twisted.relay.text_frames",
        "if len(pieces) + length > TEXT_LIMIT",
        "if length > TEXT_LIMIT",
    )
    test_text_frames_a_new_text_within_a_message = planted(
        "text-frames", "novnc_twisted.relay.text_frames", "first & 0x0F == TEXT and self._continues", "False"
    )
    test_http_request_an_end_that_is_cut = planted("http-request", f"{ACCESS}.request_head", "max(0, seen - 2)", "seen")
    test_http_request_control_characters = planted(
        "http-request", f"{ACCESS}.request_head", "_CONTROL)) < len(head)", "_CONTROL)) > len(head)"
    )
    test_http_upgrade_another_version = planted(
        "http-upgrade", "novnc_twisted.novncproxy.handshake", "!= [VERSION]", "== []"
    )
    test_access_path_rfb_is_lost = planted(
        "access-path", "novnc_twisted.session.upstream.access_path", "channel.put_back(buffer.rest)", "pass"
    )
    test_access_path_any_of_2xx = planted(
        "access-path", "novnc_twisted.session.upstream.access_path", "if status != 200:", "if status > 299:"
    )
    test_proxy_protocol_a_port_of_99999 = planted(
        "proxy-protocol", f"{ACCESS}.proxy_protocol", "and int(word) <= 0xFFFF", ""
    )
    test_proxy_protocol_a_byte_is_missing = planted(
        "proxy-protocol",
        f"{ACCESS}.proxy_protocol",
        "if payload < _LENGTHS[family]:",
        "if payload + 1 < _LENGTHS[family]:",
    )
    test_origin_http_localhost_evil = planted("origin", f"{ACCESS}.origin", "_ORIGIN.fullmatch(", "_ORIGIN.match(")
    test_forwarded_anybody_is_believed = planted(
        "forwarded", f"{ACCESS}.forwarded", "while hops and is_trusted(peer, trusted):", "while hops:"
    )
    test_token_an_escaped_letter = planted("token", f"{ACCESS}.display", "%(?:25)*{ord(letter):x}", "nothing")
    test_token_target_port_0 = planted(
        "token-target", f"{PLUGINS}.target", "0 < int(digits) < 65536", "0 <= int(digits) < 65536"
    )
    test_token_path_another_folder = planted("token-path", f"{PLUGINS}.token_file_name", 'and "/" not in token', "")
    test_token_path_a_link = planted("token-path", f"{PLUGINS}.token_file_name", "os.O_NOFOLLOW | ", "")
    test_token_path_a_linked_folder = planted(
        "token-path",
        f"{PLUGINS}.socket_directory",
        'if real != f"{os.path.realpath(self._folder)}/{token}":',
        "if False:",
    )
    test_token_jwt_expired = planted("token-jwt", f"{PLUGINS}.jwt", "if expires_at <= now:", "if False:")
    test_token_jwt_for_ever = planted("token-jwt", f"{PLUGINS}.jwt", "-math.inf) + self", "math.inf) + self")
    test_page_another_folder = planted(
        "page", "novnc_twisted.http.static_files", "not real.is_relative_to(self.path) or", ""
    )
    test_channel_two_calls_at_a_time = planted(
        "channel", "novnc_twisted.session.channel", "elif not self._busy:", "elif True:"
    )
    test_channel_a_link_for_ever = planted(
        "channel", "novnc_twisted.session.channel", "if not 1 <= seconds <= MAX_SECONDS:", "if not 1 <= seconds:"
    )
    test_page_settings_markup = planted(
        "page-settings", "novnc_twisted.http.branded_page", "escape(self.for_script())", "self.for_script()"
    )
    test_page_settings_a_line_of_the_log_broken = planted(
        "page-settings", "novnc_twisted.http.page_settings", "if name.isprintable() else", "if True else"
    )
    test_picture_one_that_is_cut = planted(
        "picture", "novnc_twisted.compute.pictures", "except (OSError, ValueError,", "except (ValueError,"
    )
    test_json_1e999 = planted("json", f"{ACCESS}.strict_json", "orjson.loads(text)", "__import__('json').loads(text)")
    test_bus_request_no_number = planted(
        "bus-request", "novnc_twisted.messaging.redis.messages", "type(until) is not int or", ""
    )
    test_bus_reply_no_text = planted(
        "bus-reply",
        "novnc_twisted.messaging.redis.messages",
        "isinstance(call_id, str) and isinstance(sealed, str)",
        "call_id",
    )
    test_host_answer_another_s_host = planted(
        "host-answer",
        "novnc_twisted.compute.replies",
        'read(Instance, answer, f"compute host {host}", host=host)',
        'read(Instance, answer, f"compute host {host}", host=dict(answer).get("host", host))',
    )
    test_connect_info_a_port_too_many = planted(
        "connect-info", "novnc_twisted.contract.fields", "<= 65535:", "<= 65536:"
    )
    test_redis_reply_what_is_no_resp = planted(
        "redis-reply", "novnc_twisted.messaging.redis.protocol", "except Exception:", "except KeyError:"
    )
    test_redis_url_a_bracket_in_a_host = planted(
        "redis-url", "novnc_twisted.messaging.redis_url", "or found is None or not _is_host(found)", ""
    )
    test_domain_xml_entities = planted(
        "domain-xml", "novnc_twisted.compute.domain_xml", "forbid_dtd=True", "forbid_entities=False"
    )
    test_domain_record_129_parts = planted(
        "domain-record", "novnc_twisted.messaging.domain_record", "or len(parts) > MAX_PARTS", ""
    )
    test_domain_record_another_part = planted(
        "domain-record", "novnc_twisted.messaging.host_record", "or part_number(uuid, count) != number", ""
    )
    test_domain_record_a_malformed_part_is_kept = planted(
        "domain-record",
        "novnc_twisted.messaging.host_record",
        'malformed, version = True, ""',
        "malformed = True",
    )
    test_flagfile_a_section_as_a_name = planted(
        "flagfile", "novnc_twisted.service.flagfile", 'or name[0] in "-[#;"', ""
    )
    test_htpasswd_an_empty_project = planted("htpasswd", "novnc_twisted.identity.htpasswd", "(not project or", "(")
    test_option_types_leads_elsewhere = planted(
        "option-types", "novnc_twisted.service.options.values", 'or ".." in path.parts', ""
    )
    test_api_json_one_level_more = planted(
        "api-json", "novnc_twisted.http.json_body", "in range(MAX_DEPTH)", "in range(MAX_DEPTH + 1)"
    )
    test_api_target_a_version_not_served = planted(
        "api-target", "novnc_twisted.api.microversion", "<= MAXIMUM:", "<= Version(3, 0):"
    )
