"""Pictures of screens: conversion, sharing among callers, and limits on the hypervisor's pictures."""

import base64
import io
import os
from typing import Any

from PIL import Image
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.compute import pictures
from novnc_twisted.compute.interfaces import Picture
from novnc_twisted.compute.libvirt.screenshot import screenshot
from novnc_twisted.compute.pictures import MAX_SMALL, UnusablePicture, convert
from novnc_twisted.contract.instance import Instance
from novnc_twisted.contract.screenshot import FORMATS
from novnc_twisted.errors import InstanceNotFound, InstanceNotRunning, ServiceUnavailable
from tests.compute.harness import A, B, ComputeCase, domain


def ppm(width: int = 64, height: int = 32, data: bytes | None = None) -> bytes:
    """Return a picture in QEMU's format."""
    return b"P6\n%d %d\n255\n" % (width, height) + (bytes((200, 30, 90)) * (width * height) if data is None else data)


def opened(picture: Picture) -> Image.Image:
    return Image.open(io.BytesIO(picture.data))


class ConversionTests(SynchronousTestCase):
    def test_each_format(self) -> None:
        png = convert(ppm(), "png").data
        for raw in (ppm(), png):
            for kind in FORMATS:
                picture = convert(raw, kind)
                image = opened(picture)
                self.assertEqual((image.format, image.size), (kind.upper(), (64, 32)))
                red, green, blue = image.convert("RGB").getpixel((5, 5))
                self.assertTrue(abs(red - 200) < 8 and abs(green - 30) < 8 and abs(blue - 90) < 8, kind)

    def test_the_png_is_exact(self) -> None:
        noise = os.urandom(64 * 32 * 3)
        self.assertEqual(opened(convert(ppm(data=noise), "png")).tobytes(), noise)

    def test_width(self) -> None:
        for asked, size in ((32, (32, 16)), (64, (64, 32)), (1000, (64, 32)), (None, (64, 32)), (16, (16, 8))):
            picture = convert(ppm(), "jpeg", asked)
            self.assertEqual((picture.width, picture.height), size)
        self.assertEqual(convert(ppm(4000, 1), "png", 16).height, 1)

    def test_a_thumbnail_of_noise_is_small(self) -> None:
        noise = ppm(1024, 768, os.urandom(1024 * 768 * 3))
        for kind in FORMATS:
            self.assertLessEqual(len(convert(noise, kind, 320).data), MAX_SMALL, kind)

    def test_a_picture_of_noise_fits_into_a_message(self) -> None:
        self.patch(pictures, "MAX_BYTES", 20_000)
        for kind in FORMATS:
            self.assertLessEqual(len(convert(ppm(200, 200, os.urandom(120_000)), kind).data), 20_000, kind)

    def test_noise_takes_little_work(self) -> None:
        """Few pictures are encoded in a slow format, and only after they were scaled down."""
        self.patch(pictures, "MAX_BYTES", 2_000)
        saved: list[tuple[str, int]] = []
        save = pictures._saved

        def count(picture: Image.Image, kind: str, **options: int) -> bytes:
            saved.append((kind, picture.width))
            return save(picture, kind, **options)

        self.patch(pictures, "_saved", count)
        noise = ppm(400, 300, os.urandom(360_000))
        for kind in ("PNG", "WEBP"):
            saved.clear()
            self.assertLessEqual(len(convert(noise, kind.lower()).data), 2_000)
            slow = [width for one, width in saved if one == kind]
            self.assertTrue(len(slow) <= 4 and max(slow) < 200, (kind, saved))

    def test_large_noise_takes_little_work(self) -> None:
        """It is encoded in a slow format only after it was scaled down."""
        saved: list[tuple[str, int]] = []
        save = pictures._saved

        def count(picture: Image.Image, kind: str, **options: int) -> bytes:
            saved.append((kind, picture.width * picture.height))
            return save(picture, kind, **options)

        self.patch(pictures, "_saved", count)
        noise = ppm(2048, 2048, os.urandom(2048 * 2048 * 3))
        for kind in ("PNG", "WEBP"):
            saved.clear()
            self.assertLessEqual(len(convert(noise, kind.lower()).data), pictures.MAX_BYTES)
            slow = [pixels for one, pixels in saved if one == kind]
            self.assertTrue(len(slow) <= 2 and max(slow) <= pictures.LARGE, (kind, saved))

    def test_the_longest_sides_of_each_format(self) -> None:
        """The limit of a format applies after the picture is scaled to the requested width."""
        for kind, most in (("png", 65_500), ("jpeg", 65_500), ("webp", 16_383)):
            picture = convert(ppm(2, most), kind)
            self.assertEqual((opened(picture).format, picture.height), (kind.upper(), most))
            for raw in (ppm(2, most + 1), ppm(most + 1, 2)):
                refused = self.assertRaises(UnusablePicture, convert, raw, kind)
                self.assertIn(f"too many for {kind}", str(refused))
            self.assertEqual(convert(ppm(most + 1, 2), kind, 480).width, 480)

    def test_invalid_pictures(self) -> None:
        gif = io.BytesIO()
        Image.new("RGB", (8, 8)).save(gif, "GIF")
        good = convert(ppm(), "png").data
        for raw in (
            b"",
            b"P6",
            b"P6\n5 5\n255\n",
            b"P6\n-1 5\n255\n" + bytes(75),
            b"P6\n99999 99999\n255\n",
            b"P6\n4097 4096\n255\n",
            b"P6\n0 0\n255\n",
            ppm()[:-10],
            good[:40],
            gif.getvalue(),
            os.urandom(1000),
        ):
            self.assertRaises(UnusablePicture, convert, raw, "png")


class Stream:
    """A libvirt stream that gives these pieces."""

    def __init__(self, pieces: Any) -> None:
        self.pieces = pieces

    def recvAll(self, handler: Any, opaque: Any) -> None:
        for piece in self.pieces:
            result = handler(self, piece, opaque)
            if isinstance(result, int) and result < 0:
                raise RuntimeError(f"recvAll handler returned {result}")

    def finish(self) -> None:
        pass


class LibvirtTests(SynchronousTestCase):
    def take(self, pieces: Any) -> Picture:
        class Connection:
            def lookupByUUIDString(self, uuid: str) -> Any:
                return self

            def screenshot(self, stream: Stream, screen: int, flags: int) -> str:
                return "image/x-portable-pixmap"

            def newStream(self) -> Stream:
                return Stream(pieces)

        return screenshot(Connection(), A, "png", None)

    def test_in_pieces(self) -> None:
        raw = ppm()
        picture = self.take([raw[:7], raw[7:8], b"", raw[8:]])
        self.assertEqual((picture.width, picture.height), (64, 32))

    def test_a_picture_without_end(self) -> None:
        taken = []

        def endless() -> Any:
            while True:
                taken.append(1)
                yield bytes(1 << 20)

        refusal = self.assertRaises(ServiceUnavailable, self.take, endless())
        self.assertIn("more than 64 MiB", refusal.detail)
        self.assertEqual(len(taken), 65)

    def test_nonsense(self) -> None:
        self.assertRaises(ServiceUnavailable, self.take, [b"nonsense"])


class SharingTests(ComputeCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.driver = await self.host()
        self.driver.add(domain())

    async def shot(self, uuid: Any = A, **more: Any) -> Any:
        return await self.call("get_screenshot", instance_uuid=uuid, **({"kind": "jpeg", "width": 320} | more))

    async def test_one_second(self) -> None:
        first = await self.shot()
        self.assertEqual((first["kind"], first["width"], base64.b64decode(first["data"])), ("jpeg", 320, b"jpeg"))
        self.clock.advance(0.9)
        self.assertEqual(await self.shot(A.upper()), first)
        self.assertEqual(len(self.driver.shots), 1)
        self.clock.advance(0.1)
        await self.shot()
        await self.shot(width=640)
        await self.shot(kind="png")
        self.assertEqual(len(self.driver.shots), 4)

    async def test_at_the_same_time(self) -> None:
        self.driver.shot = Deferred()
        waiting = [Deferred.fromCoroutine(self.shot()) for _ in range(20)]
        self.driver.shot.callback(Picture(b"x", 1, 1))
        self.assertEqual({(await one)["data"] for one in waiting}, {"eA=="})
        self.assertEqual(len(self.driver.shots), 1)

    async def test_one_at_a_time(self) -> None:
        """Two callers share the picture that is being taken; two later callers share a new one."""
        begun: list[Deferred[Picture]] = []

        def begin(*_: Any) -> Deferred[Picture]:
            begun.append(Deferred())
            return begun[-1]

        self.patch(self.driver, "screenshot", begin)
        waiting = [Deferred.fromCoroutine(self.shot()) for _ in range(2)]
        begun[0].callback(Picture(b"x", 1, 1))
        self.clock.advance(1)
        waiting += [Deferred.fromCoroutine(self.shot()) for _ in range(2)]
        self.assertEqual([one.called for one in begun], [True, False])
        begun[1].callback(Picture(b"y", 1, 1))
        self.assertEqual([(await one)["data"] for one in waiting], ["eA==", "eA==", "eQ==", "eQ=="])

    async def test_memory_is_bounded(self) -> None:
        for width in range(16, 216):
            await self.shot(width=width)
        manager = self.managers["one"]
        self.assertEqual((len(manager._screenshots._kept), len(manager._screenshots._calls)), (64, 0))

    async def test_refusals(self) -> None:
        self.driver.add(domain(B, active=False, state="shutoff"))
        await self.refused(InstanceNotRunning, self.shot(B))
        await self.refused(InstanceNotFound, self.shot("x"))
        for wrong in ({"kind": "gif"}, {"kind": None}, {"width": 0}, {"width": 10**9}, {"width": "5"}, {"width": True}):
            await self.refused(ServiceUnavailable, self.shot(**wrong))
        self.driver.down = True
        await self.refused(ServiceUnavailable, self.shot())
        self.assertEqual(self.driver.shots, [])

    async def test_the_caller(self) -> None:
        instance = Instance(uuid=A, name="x", state="running", host="one")
        shot = await self.api.get_screenshot(instance, "webp", None)
        self.assertEqual((shot.kind, shot.content), ("webp", b"webp"))
