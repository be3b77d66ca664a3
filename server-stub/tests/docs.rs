//! docs/server.md lists every setting of the server as it is.

use candour_server::config::KEYS;

#[test]
fn the_table_of_settings_has_every_setting_with_its_default() {
    let text = include_str!("../../docs/server.md");
    for key in KEYS {
        let default = key.default.map_or_else(
            || "must be set".to_owned(),
            |default| format!("`{default}`"),
        );
        let row = format!("| `{}` | {default} | {} |", key.name, key.about);
        assert!(text.contains(&row), "docs/server.md lacks: {row}");
    }
}
