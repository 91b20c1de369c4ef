//! Tells simplified Chinese from traditional.

use std::collections::HashMap;
use std::sync::LazyLock;

/// The ISO 15924 code of the script that Chinese text is written in, `Hans` or `Hant`, by the characters that only one
/// of them has; `None` where there are none, or as many of both.
pub(super) fn of(text: &str) -> Option<&'static str> {
    let (mut n_simplified, mut n_traditional) = (0u32, 0u32);
    for c in text.chars().filter(|c| !c.is_ascii()) {
        match IS_TRADITIONAL.get(&c) {
            Some(false) => n_simplified += 1,
            Some(true) => n_traditional += 1,
            None => {}
        }
    }
    match n_simplified.cmp(&n_traditional) {
        std::cmp::Ordering::Greater => Some("Hans"),
        std::cmp::Ordering::Less => Some("Hant"),
        std::cmp::Ordering::Equal => None,
    }
}

static IS_TRADITIONAL: LazyLock<HashMap<char, bool>> = LazyLock::new(|| {
    let simplified = SIMPLIFIED.chars().map(|c| (c, false));
    simplified.chain(TRADITIONAL.chars().map(|c| (c, true))).collect()
});

/// Common characters of the simplified script (China's table of 1986) that are none of the traditional one.
const SIMPLIFIED: &str = "\
    国学来时会对发个这们为说过还没经动长开关问题见现实样点机电话车东门间书马鸟鱼风飞与业两严临义乐习乡买\
    卖乱争亏亚产亲亿仅从仓仪众优伟传伤伦体儿兴养兽内冈写军农决况冻净减凉凤凭击刘则刚创别办务劳势励区医华\
    协单卫厂历厅压厌县参双变号叹听启员响团园围图圆圣场坏块坚垒处备复够头夺奋奖妈妇娱孙宁宝审宪宽宾导寻寿\
    将尔层属岁岛币师带帮库应庙废广庆张弹归当录彻怀态总恋恶悬惊惧惯懒战户扑执扩扫扬扰抢护报拥择挥损换据摆\
    敌数断无旧显晓术权条杀杂杨极构标树档桥检楼欢欧残毕气汉汤沟济浓测涛润涨渔温湾湿满灭灯灵热爱爷状独狮猪\
    环画疗疯皱盐监盖盘矿码确离种称稳穷窃竞笔筑简类粮紧纪约级纯纲纳纸线练组细织终绍结绝给统继续维综绿编缘\
    缩网罗罚职联聪肤脑脚脸艺节苏药获营虑虽蓝补装规视觉览计订认讨让训议记讲许论设访证评识诉词译试诗诚该详\
    语误请诸读课调谁谈谢贝负财责败货质贩购贸费资赏赛赶趋跃践轮软转轻载较辆输边达迁运进远连迟适选递逻遗邮\
    邻释钟钢钱铁银错键锁镇闭闻阅队阳阴阵阶际陆陈险随隐难雾静页项顺须顾预领频颜额饭饮馆驻驾验骑鲜鸡麦黄齐\
    龙龟\
    ";

/// The same characters in the traditional script.
const TRADITIONAL: &str = "\
    國學來時會對發個這們為說過還沒經動長開關問題見現實樣點機電話車東門間書馬鳥魚風飛與業兩嚴臨義樂習鄉買\
    賣亂爭虧亞產親億僅從倉儀眾優偉傳傷倫體兒興養獸內岡寫軍農決況凍淨減涼鳳憑擊劉則剛創別辦務勞勢勵區醫華\
    協單衛廠歷廳壓厭縣參雙變號嘆聽啟員響團園圍圖圓聖場壞塊堅壘處備復夠頭奪奮獎媽婦娛孫寧寶審憲寬賓導尋壽\
    將爾層屬歲島幣師帶幫庫應廟廢廣慶張彈歸當錄徹懷態總戀惡懸驚懼慣懶戰戶撲執擴掃揚擾搶護報擁擇揮損換據擺\
    敵數斷無舊顯曉術權條殺雜楊極構標樹檔橋檢樓歡歐殘畢氣漢湯溝濟濃測濤潤漲漁溫灣濕滿滅燈靈熱愛爺狀獨獅豬\
    環畫療瘋皺鹽監蓋盤礦碼確離種稱穩窮竊競筆築簡類糧緊紀約級純綱納紙線練組細織終紹結絕給統繼續維綜綠編緣\
    縮網羅罰職聯聰膚腦腳臉藝節蘇藥獲營慮雖藍補裝規視覺覽計訂認討讓訓議記講許論設訪證評識訴詞譯試詩誠該詳\
    語誤請諸讀課調誰談謝貝負財責敗貨質販購貿費資賞賽趕趨躍踐輪軟轉輕載較輛輸邊達遷運進遠連遲適選遞邏遺郵\
    鄰釋鐘鋼錢鐵銀錯鍵鎖鎮閉聞閱隊陽陰陣階際陸陳險隨隱難霧靜頁項順須顧預領頻顏額飯飲館駐駕驗騎鮮雞麥黃齊\
    龍龜\
    ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_script_is_told_by_its_own_characters() {
        assert_eq!(of("我们从学校走到车站。"), Some("Hans"));
        assert_eq!(of("我們從學校走到車站。"), Some("Hant"));
        assert_eq!(of("他說《红楼梦》這本書寫得很好。"), Some("Hant"));
    }

    #[test]
    fn what_both_write_alike_tells_nothing() {
        assert_eq!(of("山水之中人自在"), None);
        assert_eq!(of("国國"), None);
        assert_eq!(of(""), None);
    }

    #[test]
    fn no_character_is_in_both() {
        assert_eq!(SIMPLIFIED.chars().count(), TRADITIONAL.chars().count());
        assert_eq!(IS_TRADITIONAL.len(), 2 * SIMPLIFIED.chars().count());
    }
}
