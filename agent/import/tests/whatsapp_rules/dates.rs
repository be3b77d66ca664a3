//! Day, month and year, and times that run back.

use candour_import::{DateOrder, Doubt, ImportError, Options, OrderBasis, import};
use candour_wire::time::TimeConfidence;

use super::{doubts, read, walls};

#[test]
fn day_and_month_are_asked_for_when_nothing_tells_them_apart() {
    let text = "05/03/2024, 09:05 - A: x\n05/03/2024, 09:06 - B: y\n";
    let refused = import(text.as_bytes(), &Options::default());
    assert!(matches!(refused, Err(ImportError::NeedsDateOrder)));

    let given = |order| {
        let options = Options {
            date_order: Some(order),
            ..Options::default()
        };
        import(text.as_bytes(), &options)
    };
    let british = given(DateOrder::DayMonthYear).unwrap();
    assert_eq!(walls(&british)[0], "2024-03-05T09:05:00");
    assert_eq!(british.order_basis(), Some(OrderBasis::Given));
    let american = given(DateOrder::MonthDayYear).unwrap();
    assert_eq!(walls(&american)[0], "2024-05-03T09:05:00");
}

#[test]
fn an_order_that_the_first_date_forbids_is_refused() {
    let options = Options {
        date_order: Some(DateOrder::MonthDayYear),
        ..Options::default()
    };
    let refused = import(b"13/02/2024, 09:05 - A: x\n", &options);
    assert!(matches!(refused, Err(ImportError::DateOrderImpossible(_))));
}

#[test]
fn dates_that_mean_the_same_either_way_need_no_answer() {
    let chat = read("05/05/2024, 09:05 - A: x\n06/06/2024, 09:06 - B: y\n");
    assert_eq!(chat.order_basis(), Some(OrderBasis::SameEitherWay));
    assert_eq!(walls(&chat), ["2024-05-05T09:05:00", "2024-06-06T09:06:00"]);
}

#[test]
fn one_pasted_date_over_twelve_does_not_turn_every_other_date_round() {
    // An American chat, 5 January to 9 March, with a British header pasted into it.
    let text = "01/05/2024, 09:05 - A: a\n01/09/2024, 09:05 - B: b\n01/12/2024, 09:05 - A: c\n\
                13/02/2024, 09:05 - C: pasted\n02/03/2024, 09:05 - B: d\n02/11/2024, 09:05 - A: e\n\
                03/09/2024, 09:05 - B: f\n";
    let chat = read(text);
    assert_eq!(chat.date_order(), Some(DateOrder::MonthDayYear));
    assert_eq!(walls(&chat).last().unwrap(), "2024-03-09T09:05:00");
    assert_eq!(chat.len(), 6);
    assert!(doubts(&chat, 2).contains(&Doubt::HeaderInside));
}

#[test]
fn two_digit_years_may_lead_where_nothing_else_fits() {
    let chat = read("23/12/30, 09:05 - A: a\n23/12/31, 09:05 - A: b\n24/1/2, 09:05 - A: c\n");
    assert_eq!(chat.date_order(), Some(DateOrder::YearMonthDay));
    assert_eq!(walls(&chat)[2], "2024-01-02T09:05:00");
    // Nothing here says whether 2023 or the 23rd comes first.
    let text = "23/12/20, 09:05 - A: a\n23/12/21, 09:05 - A: b\n";
    assert!(matches!(
        import(text.as_bytes(), &Options::default()),
        Err(ImportError::NeedsDateOrder)
    ));
}

#[test]
fn an_inferred_order_makes_times_inferred_and_clock_changes_show() {
    let confidence = |text: &str| {
        read(text)
            .messages()
            .last()
            .unwrap()
            .time_in("Europe/London")
            .unwrap()
            .unwrap()
            .confidence
    };
    let october = "26/10/2024, 09:00 - A: x\n27/10/2024, 01:30 - A: y\n";
    assert_eq!(confidence(october), TimeConfidence::Ambiguous);
    let march = "30/03/2024, 09:00 - A: x\n31/03/2024, 01:30 - A: y\n";
    assert_eq!(confidence(march), TimeConfidence::Nonexistent);
    assert_eq!(
        confidence("30/03/2024, 09:00 - A: x\n"),
        TimeConfidence::Exact
    );
    let monotone = "05/01/2024, 09:05 - A: a\n09/01/2024, 09:05 - A: b\n03/02/2024, 09:05 - A: c\n";
    assert_eq!(confidence(monotone), TimeConfidence::Inferred);
}

#[test]
fn the_hour_that_the_clocks_give_back_is_no_forgery() {
    let chat = read(
        "27/10/2024, 00:30 - A: a\n27/10/2024, 01:50 - A: b\n27/10/2024, 01:05 - B: c\n\
         27/10/2024, 02:10 - A: d\n",
    );
    assert_eq!(chat.len(), 4);
    assert_eq!(doubts(&chat, 2), [Doubt::TimeRunsBack]);
}

#[test]
fn two_exports_in_one_file_are_not_merged_but_flagged() {
    let one: String = (1..=28)
        .map(|day| format!("{day:02}/02/2024, 09:05 - A: a\n{day:02}/02/2024, 10:05 - B: b\n"))
        .collect();
    let text = one.repeat(2);
    let chat = read(&text);
    assert_eq!(chat.len(), 112);
    assert!((0..56).all(|index| doubts(&chat, index).is_empty()));
    assert!((56..110).all(|index| doubts(&chat, index) == [Doubt::TimeRunsBack]));
}
