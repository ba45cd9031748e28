from sciexplain.domains.captions import fit, number


def test_fitting_text_keeps_both_ends_and_all_that_fits() -> None:
    assert fit("short", 2, 8, lines=1) == "short"
    assert fit("two words", 0.4, 8, lines=2) == "two\nwords"
    assert fit("two_words and more", 0.4, 8, lines=4) == "two_\nwords\nand\nmore"
    assert fit("blanks   stay", 2, 8, lines=1) == "blanks   stay"
    cut = fit("IMG_20240131_0001_final.png" * 3, 1.5, 8, lines=1)
    assert cut.startswith("IMG") and cut.endswith(".png") and "…" in cut and "\n" not in cut


def test_numbers_have_three_digits_and_a_true_minus() -> None:
    assert [number(value) for value in (-1.2345, 0, 1e-7, 123456)] == ["−1.23", "0", "1e−07", "1.23e+05"]
