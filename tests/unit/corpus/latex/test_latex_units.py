import pytest

from rpt_core.corpus.latex.convert import to_text


def text(body, preamble=""):
    source = f"\\documentclass{{article}}{preamble}\\begin{{document}}{body}\\end{{document}}"
    return to_text({"a.tex": source.encode()}, "a.tex").text


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (r"\SI{50}{\milli\metre}", "50 mm"),
        (r"\qty{9.81}{\metre\per\second\squared}", "9.81 m/s^2"),
        (r"\SI{25}{\degreeCelsius}", "25 °C"),
        (r"\SI{45}{\degree}", "45°"),
        (r"\SI{12}{\percent}", "12%"),
        (r"\unit{\kilo\gram\metre\squared}", "kg m^2"),
        (r"\si{\per\centi\metre}", "cm^-1"),
        (r"\si{\joule\per\mole\per\kelvin}", "J/(mol K)"),
        (r"\si{kg.m/s^2}", "kg m/s^2"),
        (r"\SI{3}{\square\metre}", "3 m^2"),
        (r"\SI{2}{\metre\tothe{4}}", "2 m^4"),
        (r"\SI{5}{m.s^{-1}}", "5 m s^-1"),
        (r"\num{12345}", "12345"),
        (r"\num{6.02e23}", "6.02×10^23"),
        (r"\num{-1,5E-4}", "-1.5×10^-4"),
        (r"\num{1.23(4)}", "1.23(4)"),
        (r"\SI{1.2 +- 0.1}{\second}", "(1.2 ± 0.1) s"),
        (r"\SI{1.2 \pm 0.1}{\second}", "(1.2 ± 0.1) s"),
        (r"\num{3x4}", "3 × 4"),
        (r"\numrange{2}{9}", "2 to 9"),
        (r"\SIrange{5}{8}{\nano\metre}", "5 nm to 8 nm"),
        (r"\qtyrange[range-phrase=--]{1}{2}{\kV}", "1 kV to 2 kV"),
        (r"\numlist{1;2;5}", "1, 2 and 5"),
        (r"\SIlist{10;20}{\ms}", "10 ms and 20 ms"),
        (r"\qtylist{1;2;3}{\um}", "1 µm, 2 µm and 3 µm"),
        (r"\ang{12.5}", "12.5°"),
        (r"\ang{1;2;3}", "1°2′3″"),
        (r"\tablenum{3.14}", "3.14"),
        (r"\SI[per-mode=symbol]{4}{\mega\byte\per\second}", "4 MB/s"),
        (r"\qty{5}{\um}", "5 µm"),
        (r"\unit[7]{km}", "7 km"),
        (r"\unitfrac[20]{m}{s}", "20 m/s"),
        (r"\numproduct{2 x 3}", "2 × 3"),
        (r"\qtyproduct{2 x 3}{\cm}", "2 cm × 3 cm"),
        (r"\SI{4.2e3}{\kg\per\m\cubed}", "4.2×10^3 kg/m^3"),
        (r"\SI{10}{\micro\metre}", "10 µm"),
        (r"\SI{3}{\mega\ohm}", "3 MΩ"),
        (r"\SI{1}{\electronvolt}", "1 eV"),
        (r"$L=\SI{5}{\km}$", "$L=\\text{5 km}$"),
        (r"$\num{1e-3}$", "$\\text{1×10}^{-3}$"),
        (r"$\qty(x)$ stays", "$\\qty(x)$ stays"),
    ],
)
def test_quantities_keep_number_and_unit(body, expected):
    assert text(f"It is {body}.") == f"It is {expected}."


@pytest.mark.parametrize(
    ("preamble", "body", "expected"),
    [
        (r"\DeclareSIUnit\parsec{pc}", r"\SI{3}{\kilo\parsec}", "3 kpc"),
        (r"\DeclareSIUnit{\year}{yr}", r"\qty{4}{\giga\year}", "4 Gyr"),
        (r"\newcommand{\V}{\mathcal{V}}", r"\SI{5}{\V} and $\V$", r"5 V and $\mathcal{V}$"),
        (r"\newcommand{\width}{2.5}", r"\SI{\width}{\m}", "2.5 m"),
        (r"\newcommand{\len}[1]{\SI{#1}{\cm}}", r"\len{8}", "8 cm"),
        (r"\newcommand{\num}[1]{number #1}", r"\num{8}", "number 8"),
    ],
)
def test_the_authors_units_and_numbers_count(preamble, body, expected):
    assert text(f"It is {body}.", preamble) == f"It is {expected}."
