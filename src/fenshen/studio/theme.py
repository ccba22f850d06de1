"""How the studio looks: one accent, system fonts for both scripts, light and dark. studio.css has the rest, and the same colors by name."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from gradio.themes.utils.colors import Color

from fenshen.lang import tr

STYLE = Path(__file__).with_name("studio.css").read_text("utf-8")
SCRIPT = Path(__file__).with_name("studio.js").read_text("utf-8")
SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "Liberation Sans", "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei",
        "Noto Sans CJK SC", "Source Han Sans SC", "WenQuanYi Micro Hei", "sans-serif")  # fmt: skip
LOCALES = ("en", "zh-CN", "zh-TW", "de", "es", "fr", "ja", "ko", "pt-BR", "ru")  # Of browsers: their own words would come into a page.
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Liberation Mono", "DejaVu Sans Mono", "Noto Sans Mono CJK SC", "monospace")

GREEN = Color(c50="#eef7f4", c100="#d5ece5", c200="#abd9cb", c300="#7cc4af", c400="#4cc6a4", c500="#14907a", c600="#00735a", c700="#005f4b",
              c800="#004a3b", c900="#00382d", c950="#00241d", name="green")  # fmt: skip
STONE = Color(c50="#fdfdfb", c100="#f4f4f0", c200="#e3e3de", c300="#c9c9c3", c400="#8d9197", c500="#6b7077", c600="#565c64", c700="#3a3e43",
              c800="#24272a", c900="#1c1f22", c950="#141618", name="stone")  # fmt: skip


def theme() -> gr.themes.Base:
    """Quiet: paper and ink, thin rules, no shadows; green for what can be done."""
    look = gr.themes.Base(primary_hue=GREEN, secondary_hue=GREEN, neutral_hue=STONE, radius_size="sm", text_size="md", spacing_size="md",
                          font=SANS, font_mono=MONO)  # fmt: skip
    return look.set(
        body_background_fill="*neutral_50", body_background_fill_dark="*neutral_950",
        body_text_color="#1b1d20", body_text_color_dark="#e8e8e6",
        body_text_color_subdued="*neutral_600", body_text_color_subdued_dark="#a6abb2",
        background_fill_primary="#ffffff", background_fill_primary_dark="*neutral_900",
        background_fill_secondary="*neutral_100", background_fill_secondary_dark="*neutral_800",
        block_background_fill="#ffffff", block_background_fill_dark="*neutral_900",
        block_border_color="*neutral_200", block_border_color_dark="#2d3034",
        border_color_primary="*neutral_200", border_color_primary_dark="#2d3034",
        block_label_background_fill="transparent", block_label_background_fill_dark="transparent",
        block_label_text_color="*neutral_600", block_label_text_color_dark="#a6abb2",
        block_title_text_color="#1b1d20", block_title_text_color_dark="#e8e8e6",
        block_info_text_color="*neutral_600", block_info_text_color_dark="#a6abb2",
        block_shadow="none", input_shadow="none", input_shadow_focus="none",
        input_background_fill="#ffffff", input_background_fill_dark="*neutral_950",
        input_border_width="1px", input_border_width_dark="1px",
        input_border_color="*neutral_400", input_border_color_dark="#6b7077",
        input_border_color_focus="*primary_600", input_border_color_focus_dark="*primary_400",
        button_primary_background_fill="*primary_600", button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_400", button_primary_background_fill_hover_dark="*primary_300",
        button_primary_text_color="#ffffff", button_primary_text_color_dark="#0b1512",
        button_secondary_background_fill="#ffffff", button_secondary_background_fill_dark="*neutral_900",
        button_secondary_background_fill_hover="*neutral_100", button_secondary_background_fill_hover_dark="*neutral_800",
        button_secondary_border_color="*neutral_300", button_secondary_border_color_dark="#3f444a", button_border_width="1px",
        slider_color="*primary_600", slider_color_dark="*primary_400",
        color_accent="*primary_600", link_text_color="*primary_600", link_text_color_dark="*primary_400",
        link_text_color_hover="*primary_700", link_text_color_hover_dark="*primary_300",
        link_text_color_visited="*primary_600", link_text_color_visited_dark="*primary_400",
        checkbox_background_color_selected="*primary_600", checkbox_background_color_selected_dark="*primary_400",
    )  # fmt: skip


def words() -> gr.I18n:
    """Gradio's own words in the language of the page: by itself it follows the browser, before the head's script is there."""
    said = {
        "common.or": tr("or"), "common.clear": tr("Clear"), "common.undo": tr("Undo"), "common.download": tr("Download"),
        "common.loading": tr("Loading"), "common.error": tr("Error"), "upload_text.drop_file": tr("Drop a file here"),
        "upload_text.click_to_upload": tr("click to choose one"), "upload_text.paste_clipboard": tr("paste it"), "file.uploading": tr("Uploading"),
    }  # fmt: skip
    return gr.I18n(**dict.fromkeys(LOCALES, said))


def head(language: str) -> str:
    """What stands in the page's head: the language, also for gradio's own words, and the script."""
    code = {"zh": "zh-CN", "en": "en"}[language]
    return f'<meta name="fenshen-language" content="{code}"><link rel="icon" href="/favicon.ico"><script>{SCRIPT}</script>'
