use rstest::rstest;

use super::*;

const HOST: &str = "onlay-webhook.machines.svc";

fn hosts() -> Vec<String> {
    vec![HOST.to_owned()]
}

fn days(days: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + days * 86_400).unwrap()
}

/// A certificate that was made on a day.
fn made(subject: &str, issuer: &str, day: i64, life: SignedDuration) -> Certificate {
    Certificate {
        subject: subject.to_owned(),
        issuer: issuer.to_owned(),
        from: days(day) - SKEW,
        until: days(day) + life,
        hosts: hosts(),
    }
}

fn authority(name: &str, day: i64) -> Certificate {
    made(name, name, day, AUTHORITY_LIFE)
}

fn serving(issuer: &str, day: i64) -> Certificate {
    made(HOST, issuer, day, SERVING_LIFE)
}

fn held(authorities: &[Certificate], serving: Option<Certificate>) -> Facts {
    Facts { authorities: authorities.to_vec(), serving, keys_fit: true }
}

#[rstest]
#[case::nothing(Facts::default(), 0, Next::Begin)]
#[case::fresh(held(&[authority("a", 0)], Some(serving("a", 0))), 1, Next::Keep)]
#[case::nothing_to_serve_with(held(&[authority("a", 0)], None), 0, Next::Sign)]
#[case::old_to_serve_with(held(&[authority("a", 0)], Some(serving("a", 0))), 61, Next::Sign)]
#[case::over_to_serve_with(held(&[authority("a", 0)], Some(serving("a", 0))), 91, Next::Sign)]
#[case::signed_by_nobody_known(held(&[authority("a", 0)], Some(serving("z", 0))), 0, Next::Sign)]
#[case::old_authority(held(&[authority("a", 0)], Some(serving("a", 200))), 250, Next::AddAuthority)]
#[case::authority_that_is_over(held(&[authority("a", 0)], Some(serving("a", 300))), 366, Next::Begin)]
#[case::a_new_authority_is_published_first(
    held(&[authority("b", 250), authority("a", 0)], Some(serving("a", 200))), 250, Next::Keep
)]
#[case::a_new_authority_signs_when_it_is_known(
    held(&[authority("b", 250), authority("a", 0)], Some(serving("a", 200))), 251, Next::Sign
)]
#[case::whoever_cannot_wait_does_not(
    held(&[authority("b", 250), authority("a", 0)], Some(serving("a", 150))), 250, Next::Sign
)]
#[case::after_a_turn(held(&[authority("b", 250), authority("a", 0)], Some(serving("b", 251))), 252, Next::Keep)]
#[case::keys_of_others(
    Facts { keys_fit: false, ..held(&[authority("a", 0)], Some(serving("a", 0))) }, 1, Next::Begin
)]
#[case::a_clock_that_is_an_hour_late(held(&[authority("a", 0)], Some(serving("a", 0))), 0, Next::Keep)]
fn what_is_next(#[case] facts: Facts, #[case] day: i64, #[case] expected: Next) {
    assert_eq!(next(&facts, &hosts(), days(day)), expected);
}

#[test]
fn a_certificate_for_other_hosts_is_made_again() {
    let facts = held(&[authority("a", 0)], Some(serving("a", 0)));
    let hosts = ["10.0.0.1".to_owned(), HOST.to_owned()];
    assert_eq!(next(&facts, &hosts, days(1)), Next::Sign);
}

#[test]
fn what_is_made_is_what_the_decision_wants() {
    let wanted = [HOST.to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let pems = begin(&wanted, days(0)).unwrap();
    let facts = facts(&pems);
    assert!(facts.keys_fit);
    assert_eq!(facts.authorities[0].until, days(0) + AUTHORITY_LIFE);
    assert_eq!(facts.serving.as_ref().unwrap().from, days(0) - SKEW);
    assert_eq!(next(&facts, &wanted, days(0)), Next::Keep);
}

/// A whole life: at any time the serving certificate is valid, and its authority was among those that were published an
/// hour before.
#[test]
fn certificates_follow_each_other_without_a_gap() {
    let mut pems = begin(&hosts(), days(0)).unwrap();
    let mut known = facts(&pems);
    let mut published = known.authorities.clone();
    let mut made = [0; 2];
    for hour in 0..24 * 800 {
        let now = days(0) + SignedDuration::from_hours(hour);
        let served = known.serving.as_ref().unwrap();
        assert!(served.is_valid(now), "hour {hour}");
        assert!(published.iter().any(|each| each.subject == served.issuer && each.is_valid(now)), "hour {hour}");
        published.clone_from(&known.authorities);
        pems = match next(&known, &hosts(), now) {
            Next::Keep => continue,
            Next::AddAuthority => {
                made[0] += 1;
                add_authority(&pems, now).unwrap()
            }
            Next::Sign => {
                made[1] += 1;
                sign(&pems, &hosts(), now).unwrap()
            }
            Next::Begin => panic!("hour {hour}: everything is made anew"),
        };
        known = facts(&pems);
        assert!(known.authorities.len() <= 2, "hour {hour}");
    }
    assert_eq!(made[0], 3, "authorities");
    assert!(made[1] >= 12, "{} serving certificates", made[1]);
}

#[rstest]
#[case::rubbish("rubbish")]
#[case::a_block_of_rubbish("-----BEGIN CERTIFICATE-----\ncnVi\n-----END CERTIFICATE-----\n")]
fn what_cannot_be_read_is_made_anew(#[case] text: &str) {
    let good = begin(&hosts(), days(0)).unwrap();
    for broken in [
        Pems { authorities: text.to_owned(), ..good.clone() },
        Pems { authority_key: text.to_owned(), ..good.clone() },
        Pems { certificate: text.to_owned(), ..good.clone() },
        Pems { key: text.to_owned(), ..good },
    ] {
        assert_eq!(next(&facts(&broken), &hosts(), days(1)), Next::Begin);
    }
}
