"""The book and the slides as a reader opens them: from disk, in a real browser, without a network. `make test-book`."""

import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

CHECKOUT = Path(__file__).parents[2]
SITE, SLIDES = CHECKOUT / "build" / "book", CHECKOUT / "build" / "slides"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CHAPTERS = sorted(path.stem for path in (CHECKOUT / "notebooks").glob("*.ipynb"))
PAGES = [path.stem for path in sorted((CHECKOUT / "book").glob("*.md"))]
ADDRESSES = [
    *(f"{name}.html" for name in PAGES),
    *(f"notebooks/{folder}{name}.html" for folder in ("", "solutions/") for name in CHAPTERS),
]
REFERENCE = ["api/bitskept/index.html", "api/bitskept/theory/bounds/index.html", "genindex.html", "search.html"]
PHONE = {"width": 390, "height": 844}
PATIENCE = 180_000
"""Milliseconds that a step may take, on a busy machine."""

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: run make")
pytestmark = [
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium here: on Debian, apt install chromium"),
    pytest.mark.skipif(
        not (SITE.is_dir() and SLIDES.is_dir()), reason="the book is not built: run make book slides, or make test-book"
    ),
]


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser):
    """visit(ADDRESS): the page opened. Errors, and requests that leave this machine, fail the test at its end."""
    problems, contexts = [], []

    def visit(address, folder=SITE, **options):
        contexts.append(browser.new_context(**{"viewport": {"width": 1300, "height": 900}} | options))
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("requestfailed", lambda request: problems.append(f"not found: {request.url}"))
        page.on("request", lambda request: problems.append(f"leaves: {request.url}") if away(request.url) else None)
        page.goto((folder / address).as_uri(), wait_until="load")
        return page

    yield visit
    for context in contexts:
        context.close()
    assert not problems


def away(url):
    return not url.startswith(("file:", "data:", "blob:"))


def test_a_request_that_leaves_the_machine_would_be_seen():
    assert away("https://example.org/script.js")
    assert not away((SITE / "index.html").as_uri())


def test_search_finds_fano(visit):
    page = visit("index.html")
    page.keyboard.press("Control+k")
    page.keyboard.type("Fano")
    page.keyboard.press("Enter")
    page.wait_for_selector("#search-results li a")
    found = page.eval_on_selector_all("#search-results li a", "links => links.map(link => link.href)")
    assert any("notebooks/01_theory_bounds" in address for address in found)


def test_dark_mode_switches(visit):
    page = visit("index.html", color_scheme="light")
    background = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(background)
    page.locator("button.theme-switch-button:visible").click()
    page.locator("button.theme-change-button[data-mode=dark]:visible").click()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert page.evaluate(background) != before


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_solutions_are_hidden_on_a_page_of_their_own_and_open_by_the_keyboard(visit, chapter):
    page = visit(f"notebooks/{chapter}.html")
    assert page.locator("article summary", has_text="Exercise").count() == 0
    page.get_by_role("link", name="on a page of their own").click()
    page.wait_for_url(f"**/solutions/{chapter}.html")
    solutions = page.locator("article details")
    assert solutions.count() >= 4
    for solution in solutions.all():
        content = solution.locator("> :not(summary)").first
        assert not content.is_visible()
        solution.locator("> summary").focus()
        page.keyboard.press("Enter")
        assert content.is_visible()


@pytest.mark.parametrize(
    ("picture", "control", "key"),
    [
        ("tour", "input[type=range]", "ArrowLeft"),
        ("layers", "select >> nth=1", "ArrowUp"),
        ("plane", "select >> nth=0", "ArrowUp"),
        ("optimality", "input[type=range]", "ArrowRight"),
        ("twins", "input[type=range]", "ArrowLeft"),
    ],
)
def test_a_control_of_explore_changes_its_picture(visit, picture, control, key):
    page = visit("explore.html")
    svg = page.locator(f"#explore-{picture} svg")
    svg.wait_for()
    before = svg.inner_html()
    assert svg.locator("path").count() > 10, "nothing is drawn"
    page.locator(f"#explore-{picture} form {control}").focus()
    page.keyboard.press(key)
    page.wait_for_function(
        "([id, before]) => document.querySelector(id).innerHTML != before", arg=[f"#explore-{picture} svg", before]
    )


def test_explore_says_what_was_not_measured(visit):
    page = visit("explore.html")
    picture = page.locator("#explore-layers")
    picture.locator("svg").wait_for()
    assert "not measured" not in picture.locator("svg").text_content()
    picture.locator("select").nth(0).select_option("window")
    picture.locator("select").nth(1).select_option("mlp")
    page.wait_for_function("document.querySelector('#explore-layers svg').textContent.includes('not measured')")


def test_the_pictures_of_explore_are_described_and_follow_the_width_of_the_page(visit):
    page = visit("explore.html")
    page.locator("#explore-twins svg").wait_for()
    labels = page.locator(".explore").evaluate_all("all => all.map(one => one.ariaLabel)")
    assert len(set(labels)) == len(labels) == 5
    assert all(len(label.split()) > 5 for label in labels)
    fits = "all => all.every(one => Math.abs(one.querySelector('svg').clientWidth - one.clientWidth) < 2)"
    for size in (PHONE, {"width": 1300, "height": 900}):
        page.set_viewport_size(size)
        page.wait_for_timeout(1000)
        assert page.locator(".explore").evaluate_all(fits), size


@pytest.mark.parametrize("address", [*ADDRESSES, *REFERENCE])
def test_a_page_fits_a_phone_and_has_one_title(visit, address):
    page = visit(address, viewport=PHONE)
    page.wait_for_timeout(500)  # formulas and pictures
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.locator("h1:visible").count() == 1
    assert page.locator("img:not([alt]), img[alt='']").count() == 0


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_figure_is_described_and_legible_on_a_phone(visit, chapter):
    page = visit(f"notebooks/{chapter}.html", viewport=PHONE)
    figures = page.locator("figure img")
    names = {path.stem for path in (CHECKOUT / "figures").glob(f"{chapter[:2]}_*.svg")}
    shown = figures.evaluate_all("all => all.map(one => [one.src.split('/').pop(), one.alt, one.clientWidth])")
    assert {name.removesuffix(".svg") for name, _, _ in shown} == names
    assert len(shown) == len(names)
    for name, words, width in shown:
        assert "rows" in words, name
        picture = (CHECKOUT / "figures" / name).read_text("utf-8")
        letters = min(map(float, re.findall(r"font-size: ([\d.]+)px", picture)))
        assert letters * width / float(re.search(r'width="([\d.]+)pt"', picture)[1]) > 8, f"{name}: pixels of a letter"
    assert page.locator(".cell_output img:not([alt*=' '])").count() == 0, "a picture without its description"


def test_a_figure_that_is_opened_by_itself_has_a_title_and_a_description():
    for path in (CHECKOUT / "figures").glob("*.svg"):
        picture = ElementTree.parse(SITE / "_images" / path.name).getroot()
        title, words = (picture.findtext(f"{{http://www.w3.org/2000/svg}}{name}") for name in ("title", "desc"))
        assert len(title.split()) > 2
        assert "rows" in words


def test_from_the_first_page_to_class_3_in_two_clicks(visit):
    page = visit("index.html")
    page.get_by_text("Teach", exact=True).locator("visible=true").first.click(force=True)
    page.wait_for_url("**/course.html")
    page.locator("#class-3-how-sure-are-we-and-what-can-fall-at-all a[href*='01_theory_bounds']").first.click()
    page.wait_for_url("**/01_theory_bounds.html*")


def test_from_the_verdicts_to_figure_table_and_code(visit):
    page = visit("index.html")
    page.get_by_role("link", name="02_claims").click()
    page.wait_for_url("**/02_layer_sweep.html#*")
    caption = page.locator("figure:has(img[src$='02_claims.svg']) figcaption")
    table = caption.get_by_role("link", name="Table").get_attribute("href")
    shown = (SITE / "notebooks" / table).resolve().read_bytes()
    assert shown == (CHECKOUT / "results" / "laptop" / "02_claims.csv").read_bytes()
    caption.get_by_role("link", name="figures.claims").click()
    page.wait_for_url("**/layer_sweep/figures/index.html#*")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_notebook_to_download_is_the_committed_one(chapter):
    downloaded = SITE / "_sources" / "notebooks" / f"{chapter}.ipynb"
    assert downloaded.read_bytes() == (CHECKOUT / "notebooks" / downloaded.name).read_bytes()


def test_formulas_are_drawn(visit):
    page = visit("notebooks/01_theory_bounds.html")
    page.wait_for_selector("mjx-container svg")
    assert page.locator("mjx-container[display=true]").count() >= 5


def test_nothing_is_cut_off_on_paper(visit):
    page = visit("notebooks/01_theory_bounds.html", viewport={"width": 680, "height": 960})  # A4 within its margins
    page.wait_for_selector("mjx-container svg")
    page.emulate_media(media="print")
    cut = "all => all.filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.textContent)"
    assert page.locator("article pre, article figure").evaluate_all(cut) == []
    assert not page.locator(".prev-next-area").is_visible()


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_slides_open_and_move(visit, chapter):
    page = visit(f"{chapter}.html", folder=SLIDES)
    page.wait_for_function("Reveal.isReady()")
    assert page.evaluate("Reveal.getTotalSlides()") > 10
    assert "solution" not in page.locator(".slides").inner_text().lower()
    page.keyboard.press("Space")
    page.wait_for_function("Reveal.getIndices().h + Reveal.getIndices().v > 0")
