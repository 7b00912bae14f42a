# SPDX-License-Identifier: Apache-2.0
"""Reading apt's sources, and choosing where kernels come from. Nothing is fetched."""

from windtunnel.images.apt import (
    AptSource,
    choose_sources,
    format_deb822,
    parse_candidates,
    parse_deb822,
    parse_one_line,
)

DEBIAN = "http://mirror.example/debian"
SECURITY = "http://mirror.example/debian-security"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
DEB822 = f"""\
Types: deb
# a comment inside a stanza
URIs: {DEBIAN}
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: {KEYRING}

Types: deb deb-src
URIs: {SECURITY}
Suites: bookworm-security
Components: main

Types: deb
URIs: http://tools.example/apt
Suites: nodistro
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: {DEBIAN}
Suites: bookworm
Components: main
"""
POLICY = """\
linux-source-6.12:
  Installed: (none)
  Candidate: 6.12.117-1~deb12u1
  Version table:
     6.12.117-1~deb12u1 500
        500 http://mirror.example/debian-security bookworm-security/main amd64 Packages
linux-source-6.5:
  Installed: (none)
  Candidate: (none)
  Version table:
linux-source-7.3:
  Installed: (none)
  Candidate: 7.3.4-1~bpo13+1
  Version table:
     7.3.4-1~bpo13+1 100
"""


def test_deb822_gives_one_source_for_each_enabled_suite():
    assert parse_deb822(DEB822) == [
        AptSource(DEBIAN, "bookworm", ("main", "contrib"), KEYRING),
        AptSource(DEBIAN, "bookworm-updates", ("main", "contrib"), KEYRING),
        AptSource(SECURITY, "bookworm-security", ("main",)),
        AptSource("http://tools.example/apt", "nodistro", ("main",)),
    ]


def test_a_key_inside_a_stanza_keeps_its_lines():
    text = (
        f"Types: deb\nURIs: {DEBIAN}\nSuites: bookworm\nComponents: main\n"
        "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mDMEZ\n"
    )
    key = "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mDMEZ"
    assert parse_deb822(text) == [AptSource(DEBIAN, "bookworm", ("main",), key)]
    assert parse_deb822(format_deb822(parse_deb822(text))) == parse_deb822(text)


def test_the_one_line_style_has_options_comments_and_other_types():
    text = (
        f"# deb {DEBIAN} sid main\n"
        f"deb [arch=amd64 signed-by={KEYRING}] {DEBIAN} bookworm main contrib # ours\n"
        f"deb-src {DEBIAN} bookworm main\n"
        f"deb {SECURITY} bookworm-security main\n"
        "deb\n"
    )
    assert parse_one_line(text) == [
        AptSource(DEBIAN, "bookworm", ("main", "contrib"), KEYRING),
        AptSource(SECURITY, "bookworm-security", ("main",)),
    ]


def test_own_suites_come_with_the_newer_ones_of_the_same_mirror():
    chosen = choose_sources(parse_deb822(DEB822), "bookworm")
    assert chosen == [
        AptSource(DEBIAN, "bookworm", ("main",), KEYRING),
        AptSource(DEBIAN, "bookworm-updates", ("main",), KEYRING),
        AptSource(SECURITY, "bookworm-security", ("main",)),
        AptSource(DEBIAN, "trixie", ("main",), KEYRING),
        AptSource(DEBIAN, "trixie-backports", ("main",), KEYRING),
    ]


def test_a_machine_that_has_the_newer_suites_is_not_given_them_twice():
    known = [
        AptSource(DEBIAN, "trixie", ("main",)),
        AptSource(DEBIAN, "trixie-backports", ("main",)),
    ]
    assert choose_sources(known, "trixie") == known


def test_a_suite_may_go_by_its_role_instead_of_its_name():
    known = [AptSource(DEBIAN, "stable", ("main",))]
    suites = [source.suite for source in choose_sources(known, "bookworm")]
    assert suites == ["stable", "trixie", "trixie-backports"]


def test_foreign_archives_are_never_asked():
    known = [
        AptSource("http://tools.example/apt", "cloud-bookworm", ("main",)),
        AptSource(DEBIAN, "bookworm", ("contrib",)),
    ]
    assert choose_sources(known, "bookworm") == []


def test_a_written_source_asks_for_package_lists_only():
    text = format_deb822([AptSource(DEBIAN, "trixie", ("main",), KEYRING)])
    assert text == (
        "Types: deb\nURIs: http://mirror.example/debian\nSuites: trixie\nComponents: main\n"
        "Targets: Packages\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    )


def test_candidates_are_what_apt_would_install():
    assert parse_candidates(POLICY) == {
        "linux-source-6.12": "6.12.117-1~deb12u1",
        "linux-source-7.3": "7.3.4-1~bpo13+1",
    }
