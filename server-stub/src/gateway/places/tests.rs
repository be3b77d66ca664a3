use futures_util::FutureExt as _;

use super::*;

fn take<K: Copy + Eq + Hash>(places: &Arc<Places<K>>, key: K) -> (Place<K>, Option<Crowd>) {
    let (place, crowd) = places.take(key, Duration::ZERO);
    (place.unwrap(), crowd)
}

fn gives_way<K: Copy + Eq + Hash>(place: &mut Place<K>) -> bool {
    place.wanted().now_or_never().is_some()
}

#[test]
fn who_fills_its_own_places_crowds_out_itself_and_nobody_else() {
    let places = Arc::new(Places::new(4, 2));
    let (mut quiet, _) = take(&places, "quiet");
    let (mut first, _) = take(&places, "loud");
    let (mut second, crowd) = take(&places, "loud");
    assert_eq!(crowd, None);
    let (mut third, crowd) = take(&places, "loud");
    assert_eq!(crowd, Some(Crowd::One));
    let told = [&mut quiet, &mut first, &mut second, &mut third].map(gives_way);
    assert_eq!(told, [false, true, false, false]);
}

#[test]
fn where_all_places_are_taken_the_oldest_gives_way() {
    let places = Arc::new(Places::new(2, 2));
    let (mut first, _) = take(&places, 1);
    let (mut second, _) = take(&places, 2);
    let (third, crowd) = take(&places, 3);
    assert_eq!(crowd, Some(Crowd::All));
    assert_eq!([&mut first, &mut second].map(gives_way), [true, false]);
    drop(third);
    let (_fourth, crowd) = take(&places, 4);
    assert_eq!(crowd, None, "a place that was left is free");
    drop((first, second));
    assert_eq!(places.lock().places.len(), 1);
    assert_eq!(places.lock().of.len(), 1, "nothing is kept of who has gone");
}

#[tokio::test(start_paused = true)]
async fn nobody_gives_way_before_a_while_has_passed() {
    let places = Arc::new(Places::new(2, 1));
    let patience = WHILE;
    let (mut first, _) = take(&places, "a");
    let _second = take(&places, "b");
    let (none, crowd) = places.take("a", patience);
    assert_eq!((none.is_none(), crowd), (true, Some(Crowd::One)));
    let (none, crowd) = places.take("c", patience);
    assert_eq!((none.is_none(), crowd), (true, Some(Crowd::All)));
    assert!(!gives_way(&mut first));
    sleep(patience).await;
    let (third, _) = places.take("c", patience);
    assert!(third.is_some());
    assert!(gives_way(&mut first));
}

#[test]
fn who_has_more_than_their_share_gives_way_at_once() {
    let places = Arc::new(Places::new(5, 5));
    let while_of_a_day = Duration::from_hours(24);
    let mut loud: Vec<_> = (0..4).map(|_| take(&places, "loud").0).collect();
    let (mut quiet, _) = take(&places, "quiet");
    let other = [(); 3].map(|()| places.take("other", while_of_a_day).0);
    let given = other.each_ref().map(Option::is_some);
    assert_eq!(given, [true, true, false], "two, two and one");
    let told: Vec<_> = loud.iter_mut().map(gives_way).collect();
    assert_eq!(told, [false, false, true, true], "who is nearly done stays");
    assert!(!gives_way(&mut quiet));
}

const WHILE: Duration = Duration::from_secs(1);

/// Which of `places` gives way to a newcomer, by number.
fn makes_way(
    places: &Arc<Places<&'static str>>,
    of: &mut [Place<&'static str>],
    key: &'static str,
) -> Vec<usize> {
    let (newest, crowd) = places.take(key, WHILE);
    assert_eq!((newest.is_some(), crowd), (true, Some(Crowd::All)));
    let told = of.iter_mut().map(gives_way).enumerate();
    told.filter_map(|(number, told)| told.then_some(number))
        .collect()
}

fn taken(places: &Arc<Places<&'static str>>, by: &[&'static str]) -> Vec<Place<&'static str>> {
    by.iter().map(|key| take(places, *key).0).collect()
}

#[tokio::test(start_paused = true)]
async fn a_crowd_does_not_drive_out_whoever_has_no_more_places_than_its_address() {
    for (of, key, who) in [
        (["quiet", "a", "b", "a", "b"], "b", 2),
        (["quiet", "a", "b", "b", "b"], "a", 1),
    ] {
        let places = Arc::new(Places::new(5, 5));
        let mut of = taken(&places, &of);
        sleep(WHILE).await;
        assert_eq!(makes_way(&places, &mut of, key), [who]);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_had_a_while_gives_way_before_those_who_are_at_it_though_they_are_more() {
    let places = Arc::new(Places::new(4, 4));
    let mut of = taken(&places, &["silent"]);
    sleep(WHILE).await;
    of.extend(taken(&places, &["busy"; 3]));
    assert_eq!(makes_way(&places, &mut of, "other"), [0]);
}

#[tokio::test(start_paused = true)]
async fn who_stays_for_twice_as_long_gives_way_to_an_address_with_more_places() {
    let places = Arc::new(Places::new(4, 4));
    let mut of = taken(&places, &["silent"]);
    sleep(2 * WHILE).await;
    of.extend(taken(&places, &["busy"; 3]));
    assert_eq!(makes_way(&places, &mut of, "busy"), [0]);
}

#[tokio::test(start_paused = true)]
async fn who_stays_counts_and_gives_way_to_nobody() {
    let places = Arc::new(Places::new(2, 2));
    let mut of = taken(&places, &["a", "b"]);
    of.iter_mut().for_each(Place::stay);
    sleep(2 * WHILE).await;
    let (none, crowd) = places.take("c", WHILE);
    assert_eq!((none.is_none(), crowd), (true, Some(Crowd::All)));
    assert!(!of.iter_mut().any(gives_way));
    of.pop();
    let (c, crowd) = take(&places, "c");
    assert_eq!(crowd, None);
    drop((c, of));
    let held = places.lock();
    assert_eq!((held.places.len(), held.of.len(), held.staying), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn who_is_late_is_patient_and_gets_over_it() {
    let lag = Lag::default();
    assert_eq!(lag.patience(), AT_LEAST);
    lag.0.store(500, Ordering::Relaxed);
    assert_eq!(lag.patience(), AT_LEAST + Duration::from_secs(2));
    let _ = tokio::time::timeout(Duration::from_secs(5), lag.measure()).await;
    assert_eq!(lag.patience(), AT_LEAST);
}

#[test]
fn addresses_of_one_site_of_version_6_are_one_and_mapped_ones_are_what_they_map() {
    let one = |text: &str| one_address(text.parse().unwrap());
    assert_eq!(one("2001:db8:1:2:3::4"), one("2001:db8:1:2:ffff::1"));
    assert_eq!(one("2001:db8:1:200::1"), one("2001:db8:1:2ff::1"));
    assert_ne!(one("2001:db8:1:200::1"), one("2001:db8:1:300::1"));
    assert_eq!(one("::ffff:192.0.2.7"), one("192.0.2.7"));
    assert_ne!(one("192.0.2.7"), one("192.0.2.8"));
}
