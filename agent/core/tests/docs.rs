//! docs/server.md lists every key of the agent's configuration as it is.

use candour_core::config::KEYS;

#[test]
fn the_table_of_phones_settings_has_every_key() {
    let text = include_str!("../../../docs/server.md");
    for key in KEYS {
        let required = if key.required { "required " } else { "" };
        let row = format!("| `{}` | {required}| {} |", key.name, key.about);
        assert!(text.contains(&row), "docs/server.md lacks: {row}");
    }
}
