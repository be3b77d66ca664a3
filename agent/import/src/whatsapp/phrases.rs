//! Words of the app, in the languages most exports come in.
//!
//! They are looked for only where the structure of a row is silent, and always as the whole of a
//! body or of a bracketed part: a person who writes "I left" is never taken for the app.

/// Whole bodies that say that a message was deleted, without their full stop.
pub(crate) const DELETED: &[&str] = &[
    "This message was deleted",
    "You deleted this message",
    "Diese Nachricht wurde gelöscht",
    "Du hast diese Nachricht gelöscht",
    "Ce message a été supprimé",
    "Vous avez supprimé ce message",
    "Se eliminó este mensaje",
    "Este mensaje fue eliminado",
    "Eliminaste este mensaje",
    "Questo messaggio è stato eliminato",
    "Hai eliminato questo messaggio",
    "Mensagem apagada",
    "Esta mensagem foi apagada",
    "Você apagou esta mensagem",
    "Apagou esta mensagem",
    "Dit bericht is verwijderd",
    "U heeft dit bericht verwijderd",
    "Je hebt dit bericht verwijderd",
    "Ta wiadomość została usunięta",
    "Usunięto tę wiadomość",
    "Det här meddelandet raderades",
    "Denne meldingen ble slettet",
    "Denne besked blev slettet",
    "Tämä viesti poistettiin",
    "Bu mesaj silindi",
    "Данное сообщение удалено",
    "Вы удалили данное сообщение",
    "تم حذف هذه الرسالة",
    "הודעה זו נמחקה",
    "此消息已删除",
    "此訊息已刪除",
    "यह मैसेज डिलीट कर दिया गया",
];

/// Starts of bodies that say who deleted a message.
pub(crate) const DELETED_BY: &[&str] = &["This message was deleted by admin "];

/// Insides of a closing `<…>` that say that a message was edited, without their full stop.
pub(crate) const EDITED: &[&str] = &[
    "This message was edited",
    "Diese Nachricht wurde bearbeitet",
    "Ce message a été modifié",
    "Se editó este mensaje",
    "Este mensaje fue editado",
    "Questo messaggio è stato modificato",
    "Mensagem editada",
    "Esta mensagem foi editada",
    "Dit bericht is bewerkt",
    "Ta wiadomość została edytowana",
    "Данное сообщение изменено",
];

/// Words at one end of a body or of a whole `<…>` that say that a file was left out.
pub(crate) const OMITTED: &[&str] = &[
    "omitted",
    "ausgeschlossen",
    "weggelassen",
    "omis",
    "omise",
    "omitido",
    "omitida",
    "omessi",
    "omesso",
    "omessa",
    "oculta",
    "oculto",
    "ocultado",
    "ocultada",
    "weggelaten",
    "pominięto",
    "Pominięto",
    "utelämnad",
    "utelatt",
    "udeladt",
    "edilmedi",
];

/// Insides of `(…)` after a file's name on Android.
pub(crate) const FILE_ATTACHED: &[&str] = &[
    "file attached",
    "Datei angehängt",
    "fichier joint",
    "archivo adjunto",
    "file allegato",
    "arquivo anexado",
    "ficheiro anexado",
    "bestand bijgevoegd",
    "plik dołączony",
    "файл добавлен",
];

/// Words before the colon of `<…: name>` on iOS.
pub(crate) const ATTACHED: &[&str] = &[
    "attached",
    "Anhang",
    "adjunto",
    "pièce jointe",
    "allegato",
    "anexado",
    "anexo",
    "bijgevoegd",
    "załącznik",
];

/// First lines of a poll.
pub(crate) const POLL: &[&str] = &[
    "POLL:",
    "UMFRAGE:",
    "ENCUESTA:",
    "SONDAGGIO:",
    "SONDAGE:",
    "SONDAGE :",
    "ENQUETE:",
    "POLL :",
];

/// Parts of the notice with which chats begin.
pub(crate) const ENCRYPTION_NOTICE: &[&str] = &[
    "end-to-end",
    "Ende-zu-Ende",
    "bout en bout",
    "extremo a extremo",
    "crittografat",
    "ponta a ponta",
    "szyfrowan",
];
