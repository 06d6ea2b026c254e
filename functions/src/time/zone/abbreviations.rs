//! The abbreviations of time zones that date and time input knows: PostgreSQL's `Default` set
//! (<https://www.postgresql.org/docs/15/datetime-config-files.html>), as its `pg_timezone_abbrevs` lists it.

use chrono_tz::Tz;

/// What an abbreviation stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abbreviation {
    /// Seconds east of Greenwich, and whether it is daylight-saving time.
    Fixed(i32, bool),
    /// What this zone called so at the time: its offset has changed under one name.
    Dynamic(&'static str),
}

use Abbreviation::{Dynamic, Fixed};

/// In lower case, in order.
pub static ABBREVIATIONS: &[(&str, Abbreviation)] = &[
    ("acdt", Fixed(37_800, true)),
    ("acsst", Fixed(37_800, true)),
    ("acst", Fixed(34_200, false)),
    ("act", Fixed(-18_000, false)),
    ("acwst", Fixed(31_500, false)),
    ("adt", Fixed(-10_800, true)),
    ("aedt", Fixed(39_600, true)),
    ("aesst", Fixed(39_600, true)),
    ("aest", Fixed(36_000, false)),
    ("aft", Fixed(16_200, false)),
    ("akdt", Fixed(-28_800, true)),
    ("akst", Fixed(-32_400, false)),
    ("almst", Fixed(25_200, true)),
    ("almt", Fixed(21_600, false)),
    ("amst", Dynamic("Asia/Yerevan")),
    ("amt", Fixed(-14_400, false)),
    ("anast", Dynamic("Asia/Anadyr")),
    ("anat", Dynamic("Asia/Anadyr")),
    ("arst", Dynamic("America/Argentina/Buenos_Aires")),
    ("art", Dynamic("America/Argentina/Buenos_Aires")),
    ("ast", Fixed(-14_400, false)),
    ("awsst", Fixed(32_400, true)),
    ("awst", Fixed(28_800, false)),
    ("azost", Fixed(0, true)),
    ("azot", Fixed(-3_600, false)),
    ("azst", Dynamic("Asia/Baku")),
    ("azt", Dynamic("Asia/Baku")),
    ("bdst", Fixed(7_200, true)),
    ("bdt", Fixed(21_600, false)),
    ("bnt", Fixed(28_800, false)),
    ("bort", Fixed(28_800, false)),
    ("bot", Fixed(-14_400, false)),
    ("bra", Fixed(-10_800, false)),
    ("brst", Fixed(-7_200, true)),
    ("brt", Fixed(-10_800, false)),
    ("bst", Fixed(3_600, true)),
    ("btt", Fixed(21_600, false)),
    ("cadt", Fixed(37_800, true)),
    ("cast", Fixed(34_200, false)),
    ("cct", Fixed(28_800, false)),
    ("cdt", Fixed(-18_000, true)),
    ("cest", Fixed(7_200, true)),
    ("cet", Fixed(3_600, false)),
    ("cetdst", Fixed(7_200, true)),
    ("chadt", Fixed(49_500, true)),
    ("chast", Fixed(45_900, false)),
    ("chut", Fixed(36_000, false)),
    ("ckt", Dynamic("Pacific/Rarotonga")),
    ("clst", Fixed(-10_800, true)),
    ("clt", Dynamic("America/Santiago")),
    ("cot", Fixed(-18_000, false)),
    ("cst", Fixed(-21_600, false)),
    ("cxt", Fixed(25_200, false)),
    ("davt", Dynamic("Antarctica/Davis")),
    ("ddut", Fixed(36_000, false)),
    ("easst", Dynamic("Pacific/Easter")),
    ("east", Dynamic("Pacific/Easter")),
    ("eat", Fixed(10_800, false)),
    ("edt", Fixed(-14_400, true)),
    ("eest", Fixed(10_800, true)),
    ("eet", Fixed(7_200, false)),
    ("eetdst", Fixed(10_800, true)),
    ("egst", Fixed(0, true)),
    ("egt", Fixed(-3_600, false)),
    ("est", Fixed(-18_000, false)),
    ("fet", Fixed(10_800, false)),
    ("fjst", Fixed(46_800, true)),
    ("fjt", Fixed(43_200, false)),
    ("fkst", Dynamic("Atlantic/Stanley")),
    ("fkt", Dynamic("Atlantic/Stanley")),
    ("fnst", Fixed(-3_600, true)),
    ("fnt", Fixed(-7_200, false)),
    ("galt", Fixed(-21_600, false)),
    ("gamt", Fixed(-32_400, false)),
    ("gest", Dynamic("Asia/Tbilisi")),
    ("get", Dynamic("Asia/Tbilisi")),
    ("gft", Fixed(-10_800, false)),
    ("gilt", Fixed(43_200, false)),
    ("gmt", Fixed(0, false)),
    ("gyt", Dynamic("America/Guyana")),
    ("hkt", Fixed(28_800, false)),
    ("hst", Fixed(-36_000, false)),
    ("ict", Fixed(25_200, false)),
    ("idt", Fixed(10_800, true)),
    ("iot", Dynamic("Indian/Chagos")),
    ("irkst", Dynamic("Asia/Irkutsk")),
    ("irkt", Dynamic("Asia/Irkutsk")),
    ("irt", Fixed(12_600, false)),
    ("ist", Fixed(7_200, false)),
    ("jayt", Fixed(32_400, false)),
    ("jst", Fixed(32_400, false)),
    ("kdt", Fixed(36_000, true)),
    ("kgst", Fixed(21_600, true)),
    ("kgt", Dynamic("Asia/Bishkek")),
    ("kost", Dynamic("Pacific/Kosrae")),
    ("krast", Dynamic("Asia/Krasnoyarsk")),
    ("krat", Dynamic("Asia/Krasnoyarsk")),
    ("kst", Fixed(32_400, false)),
    ("lhdt", Dynamic("Australia/Lord_Howe")),
    ("lhst", Fixed(37_800, false)),
    ("ligt", Fixed(36_000, false)),
    ("lint", Dynamic("Pacific/Kiritimati")),
    ("lkt", Dynamic("Asia/Colombo")),
    ("magst", Dynamic("Asia/Magadan")),
    ("magt", Dynamic("Asia/Magadan")),
    ("mart", Fixed(-34_200, false)),
    ("mawt", Dynamic("Antarctica/Mawson")),
    ("mdt", Fixed(-21_600, true)),
    ("mest", Fixed(7_200, true)),
    ("mesz", Fixed(7_200, true)),
    ("met", Fixed(3_600, false)),
    ("metdst", Fixed(7_200, true)),
    ("mez", Fixed(3_600, false)),
    ("mht", Fixed(43_200, false)),
    ("mmt", Fixed(23_400, false)),
    ("mpt", Fixed(36_000, false)),
    ("msd", Fixed(14_400, true)),
    ("msk", Dynamic("Europe/Moscow")),
    ("mst", Fixed(-25_200, false)),
    ("must", Fixed(18_000, true)),
    ("mut", Fixed(14_400, false)),
    ("mvt", Fixed(18_000, false)),
    ("myt", Fixed(28_800, false)),
    ("ndt", Fixed(-9_000, true)),
    ("nft", Fixed(-12_600, false)),
    ("novst", Dynamic("Asia/Novosibirsk")),
    ("novt", Dynamic("Asia/Novosibirsk")),
    ("npt", Fixed(20_700, false)),
    ("nst", Fixed(-12_600, false)),
    ("nut", Dynamic("Pacific/Niue")),
    ("nzdt", Fixed(46_800, true)),
    ("nzst", Fixed(43_200, false)),
    ("nzt", Fixed(43_200, false)),
    ("omsst", Dynamic("Asia/Omsk")),
    ("omst", Dynamic("Asia/Omsk")),
    ("pdt", Fixed(-25_200, true)),
    ("pet", Fixed(-18_000, false)),
    ("petst", Dynamic("Asia/Kamchatka")),
    ("pett", Dynamic("Asia/Kamchatka")),
    ("pgt", Fixed(36_000, false)),
    ("pht", Fixed(28_800, false)),
    ("pkst", Fixed(21_600, true)),
    ("pkt", Fixed(18_000, false)),
    ("pmdt", Fixed(-7_200, true)),
    ("pmst", Fixed(-10_800, false)),
    ("pont", Fixed(39_600, false)),
    ("pst", Fixed(-28_800, false)),
    ("pwt", Fixed(32_400, false)),
    ("pyst", Fixed(-10_800, true)),
    ("pyt", Dynamic("America/Asuncion")),
    ("ret", Fixed(14_400, false)),
    ("sadt", Fixed(37_800, true)),
    ("sast", Fixed(7_200, false)),
    ("sct", Fixed(14_400, false)),
    ("sgt", Dynamic("Asia/Singapore")),
    ("taht", Fixed(-36_000, false)),
    ("tft", Fixed(18_000, false)),
    ("tjt", Fixed(18_000, false)),
    ("tkt", Dynamic("Pacific/Fakaofo")),
    ("tmt", Dynamic("Asia/Ashgabat")),
    ("tot", Fixed(46_800, false)),
    ("trut", Fixed(36_000, false)),
    ("tvt", Fixed(43_200, false)),
    ("uct", Fixed(0, false)),
    ("ulast", Fixed(32_400, true)),
    ("ulat", Dynamic("Asia/Ulaanbaatar")),
    ("ut", Fixed(0, false)),
    ("utc", Fixed(0, false)),
    ("uyst", Fixed(-7_200, true)),
    ("uyt", Fixed(-10_800, false)),
    ("uzst", Fixed(21_600, true)),
    ("uzt", Fixed(18_000, false)),
    ("vet", Dynamic("America/Caracas")),
    ("vlast", Dynamic("Asia/Vladivostok")),
    ("vlat", Dynamic("Asia/Vladivostok")),
    ("volt", Dynamic("Europe/Volgograd")),
    ("vut", Fixed(39_600, false)),
    ("wadt", Fixed(28_800, true)),
    ("wakt", Fixed(43_200, false)),
    ("wast", Fixed(25_200, false)),
    ("wat", Fixed(3_600, false)),
    ("wdt", Fixed(32_400, true)),
    ("wet", Fixed(0, false)),
    ("wetdst", Fixed(3_600, true)),
    ("wft", Fixed(43_200, false)),
    ("wgst", Fixed(-7_200, true)),
    ("wgt", Fixed(-10_800, false)),
    ("xjt", Fixed(21_600, false)),
    ("yakst", Dynamic("Asia/Yakutsk")),
    ("yakt", Dynamic("Asia/Yakutsk")),
    ("yapt", Fixed(36_000, false)),
    ("yekst", Fixed(21_600, true)),
    ("yekt", Dynamic("Asia/Yekaterinburg")),
    ("z", Fixed(0, false)),
    ("zulu", Fixed(0, false)),
];

impl Abbreviation {
    /// The entry of this name, in any case, with its name as the table has it.
    pub fn find(name: &str) -> Option<(&'static str, Abbreviation)> {
        // None is longer than six letters.
        if name.len() > 10 {
            return None;
        }
        let lower = name.to_ascii_lowercase();
        let at = ABBREVIATIONS.binary_search_by(|(n, _)| (*n).cmp(&lower)).ok()?;
        Some(ABBREVIATIONS[at])
    }

    /// The zone of a dynamic abbreviation.
    pub fn zone(self) -> Option<Tz> {
        match self {
            Fixed(..) => None,
            Dynamic(name) => name.parse().ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_its_zones_exist() {
        assert!(ABBREVIATIONS.is_sorted_by(|a, b| a.0 < b.0));
        for (name, abbreviation) in ABBREVIATIONS {
            assert_eq!(abbreviation.zone().is_some(), matches!(abbreviation, Dynamic(_)), "{name}");
        }
    }
}
