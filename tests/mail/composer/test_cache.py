"""Parts that come again are kept within a bound of bytes."""

from __future__ import annotations

import gc

from mailworkers.mail.composer import attachment, text
from mailworkers.mail.composer.cache import SEEN_KEPT, PartCache
from mailworkers.mail.message import Attachment
from tests.mail.letters import content_of, letter


def put_twice(cache: PartCache, key: object, part: bytes, size: int) -> None:
    """What comes for the second time is kept."""
    for _ in range(2):
        cache.put(key, part, size)


def test_a_part_that_came_twice_is_found_again() -> None:
    cache = PartCache(1000)
    put_twice(cache, "a", b"A", 10)

    assert cache.get("a") == b"A"
    assert cache.get("b") is None


def test_what_is_unique_to_one_mail_takes_no_room() -> None:
    cache = PartCache(1000)
    put_twice(cache, "logo", b"L", 100)

    for number in range(10_000):
        cache.put(f"Dear {number}", b"D", 100)

    assert cache.bytes_used == 100
    assert cache.get("logo") == b"L"
    assert len(cache._seen) <= SEEN_KEPT


def test_the_least_recently_used_goes_first() -> None:
    cache = PartCache(400)
    for key in "abcd":
        put_twice(cache, key, key.encode(), 100)
    cache.get("a")

    put_twice(cache, "e", b"e", 100)

    assert [key for key in "abcde" if cache.get(key)] == ["a", "c", "d", "e"]


def test_the_bound_holds_whatever_comes() -> None:
    cache = PartCache(1000)
    for size in range(300):
        put_twice(cache, size % 7, b"", size)

        assert cache.bytes_used <= 1000


def test_one_large_part_does_not_sweep_out_the_others() -> None:
    cache = PartCache(1000)
    put_twice(cache, "small", b"s", 10)

    put_twice(cache, "large", b"l", 251)

    assert cache.get("large") is None
    assert cache.get("small") == b"s"


def test_a_campaign_s_static_parts_are_encoded_for_its_first_mails_only() -> None:
    logo = Attachment("logo.png", "image/png", bytes(range(256)) * 10, "logo")
    campaign = [letter(html_body="<p>Grüße</p>\n" * 50, to=letter().to, attachments=(logo,)) for _ in range(4)]
    before = (text._encoded.bytes_used, attachment._encoded.bytes_used)
    for message in campaign[:2]:
        content_of(message)
    after_two = (text._encoded.bytes_used, attachment._encoded.bytes_used)

    for message in campaign[2:]:
        content_of(message)

    assert (text._encoded.bytes_used, attachment._encoded.bytes_used) == after_two
    assert after_two > before


def test_many_personal_bodies_stay_within_the_bound() -> None:
    for number in range(300):
        content_of(letter(text_body=f"Größe {number}\n" + "ä" * 20_000))
    gc.collect()

    assert text._encoded.bytes_used <= text.CACHE_BYTES
