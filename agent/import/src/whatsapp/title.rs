//! A chat's title, from the name of the file that WhatsApp made.

/// What stands before the title in the names that WhatsApp gives to exports, by language.
const BEFORE: &[&str] = &[
    "WhatsApp Chat with ",
    "WhatsApp Chat - ",
    "WhatsApp-Chat mit ",
    "Discussion WhatsApp avec ",
    "Chat de WhatsApp con ",
    "Chat WhatsApp con ",
    "Conversa do WhatsApp com ",
    "WhatsApp-chat met ",
    "Czat WhatsApp z ",
];

/// The title in a file's name such as `WhatsApp Chat with Budget team.txt`; `None` when the name
/// is none of WhatsApp's. The title is a label, never evidence.
#[must_use]
pub fn title_from_name(name: &str) -> Option<&str> {
    let stem = name
        .strip_suffix(".txt")
        .or_else(|| name.strip_suffix(".zip"))
        .unwrap_or(name);
    let title = BEFORE.iter().find_map(|before| stem.strip_prefix(before))?;
    (!title.is_empty()).then_some(title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_found_in_the_names_that_whatsapp_gives() {
        assert_eq!(
            title_from_name("WhatsApp Chat with Budget team.txt"),
            Some("Budget team")
        );
        assert_eq!(
            title_from_name("WhatsApp Chat - Team X.zip"),
            Some("Team X")
        );
        assert_eq!(title_from_name("WhatsApp-Chat mit Büro.zip"), Some("Büro"));
        assert_eq!(title_from_name("_chat.txt"), None);
        assert_eq!(title_from_name("WhatsApp Chat with .txt"), None);
    }
}
