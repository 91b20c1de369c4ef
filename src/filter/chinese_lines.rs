//! Takes out lines of Chinese pages that are no text: navigation, advertisements, bylines, tables of contents.

use aho_corasick::{AhoCorasick, MatchKind};
use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::char_counts::CharCounts;
use super::leftovers::take_out;
use super::threshold::{Threshold, check_order};
use crate::doc::Doc;
use crate::stage::{Edit, Editor, Reason, Settings};
use crate::text;

/// Takes out lines of Chinese pages that are no text: navigation, advertisements, bylines, tables of contents; and drops
/// documents that consist of them.
///
/// Nothing here needs spaces between words: what counts is how much of a line its tell-tale phrases cover. A line that
/// ends as a sentence does (with 。！？… or a mark that closes a quotation behind one) stays unless it is all phrases; a
/// line without Chinese characters stays, and so does a document of one line. The lists hold both scripts, and are our
/// own, from reading Chinese pages. The limits are our own guesses, tuned on such pages to take out little that is text.
/// `false` or an empty list switches a rule off.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChineseLines {
    /// Lines of more characters stay, whatever is in them. Default 100.
    pub max_line_chars: usize,
    /// What the furniture of a page says: `点击查看`, `扫码关注`, `返回顶部`. Letters and digits of a line that belong to
    /// one of these are covered.
    pub phrases: Vec<String>,
    /// Lines go of whose letters and digits a share of this or more is covered by `phrases`. Default 0.6: two words of
    /// a line of three. Phrases of two characters count only if the whole line is covered, for they are words of prose.
    pub min_coverage: Threshold,
    /// Lines go that begin with one of these and a colon, or end there: `上一篇：…`, `责任编辑：…`.
    pub labels: Vec<String>,
    /// Lines go that hold one of these and do not end as a sentence: `版权所有`, `ICP备`.
    pub footers: Vec<String>,
    /// Lines that are nothing but counters of these, times, and bylines go: `阅读 1234`, `评论(0)`,
    /// `2024-01-01 12:30 来源：…`. A date alone, or an author alone, stays.
    pub counters: Vec<String>,
    /// Whether the path to a page goes: `首页 > 新闻 > 正文`, `当前位置：…`. Default: yes.
    pub paths: bool,
    /// Whether lines that ask to add an account go: `加微信 abc12345`, `QQ群：12345678`. Default: yes.
    pub accounts: bool,
    /// Whether lines of a table of contents go, which lead by dots or dashes to the number of a page:
    /// `第一章 总则……12`. Default: yes.
    pub contents: bool,
    /// Whether lines of ornaments, or of three and more wide marks, go: `★☆★☆`, `！！！`. Lines of ASCII marks, of
    /// dashes and of dots stay: they part sections. Default: yes.
    pub ornaments: bool,
    /// The document goes if a greater share of its visible characters is on the lines that went. Default 0.6, our own
    /// guess: what is left of such a page is scraps.
    pub max_removed: Threshold,
}

impl Default for ChineseLines {
    fn default() -> Self {
        let list = |words: &str| words.split_whitespace().map(str::to_owned).collect();
        Self {
            max_line_chars: 100,
            phrases: list(PHRASES),
            min_coverage: Threshold::at(0.6),
            labels: list(LABELS),
            footers: list(FOOTERS),
            counters: list(COUNTERS),
            paths: true,
            accounts: true,
            contents: true,
            ornaments: true,
            max_removed: Threshold::at(0.6),
        }
    }
}

const PHRASES: &str = "
    点击查看 点击查看更多 点击进入 点击这里 点击下载 点击阅读 点击此处 点击链接 点击图片 查看更多 查看全文 查看全部 查看详情 查看原文
    阅读全文 阅读原文 阅读更多 展开全文 展开阅读 加载更多 更多精彩 更多内容 更多新闻 更多资讯 了解更多 更多
    扫码关注 扫码下载 扫一扫 扫描二维码 扫描下方二维码 长按二维码 识别二维码 关注公众号 关注微信公众号 关注我们 微信公众号 官方微信 官方微博
    上一篇 下一篇 上一章 下一章 上一页 下一页 上一条 下一条 首页 末页 尾页 没有了 返回顶部 返回首页 返回目录 返回列表 返回上一页 回到顶部
    分享到 分享至 微信好友 朋友圈 新浪微博 腾讯微博 QQ空间 QQ好友 复制链接 分享 转发 收藏 点赞 评论 举报 打印 打印本页 关闭窗口 关闭
    相关阅读 相关新闻 相关文章 相关推荐 相关链接 推荐阅读 延伸阅读 猜你喜欢 为您推荐 热门推荐 热门文章 热门标签 热点推荐 精彩推荐 最新文章
    友情链接 更多友情链接 申请友情链接 网站地图 网站首页 网站声明 联系我们 联系方式 关于我们 关于本站 免责声明 法律声明 隐私政策 隐私声明
    用户协议 服务条款 使用条款 广告服务 广告合作 商务合作 诚聘英才 加入我们 意见反馈 客户反馈 帮助中心 常见问题 设为首页 加入收藏 添加收藏 收藏本站
    用微信扫码二维码 登录 注册 立即登录 立即注册 免费注册 用户登录 用户名 密码 忘记密码 找回密码 退出登录 记住密码 验证码 登录注册
    发表评论 我要评论 网友评论 最新评论 全部评论 热门评论 暂无评论 暂无回复 我来说两句 写评论 提交评论 匿名评论
    手机版 电脑版 手机客户端 客户端下载 下载客户端 下载APP 打开APP 立即下载 免费下载 旧版回顾 转繁体版 简体版 繁体版 无障碍浏览
    投稿 订阅 搜索 搜索热点 热门搜索 站内搜索 请输入关键词 请输入关键字 字号 字体 大 中 小
    點擊查看 點擊進入 點擊這裡 點擊下載 點選這裡 查看更多 查看全文 看更多 閱讀全文 閱讀原文 閱讀更多 繼續閱讀 展開全文 載入更多 更多精彩 更多內容
    更多新聞 了解更多 瞭解更多 掃碼關注 掃一掃 掃描二維碼 關注我們 追蹤我們 官方微博
    上一頁 下一頁 上一則 下一則 首頁 末頁 尾頁 沒有了 返回頂部 返回首頁 返回目錄 返回列表 回首頁 回頂端 回到頂部 回上一頁
    分享至 微信好友 朋友圈 複製連結 複製鏈接 轉發 轉寄 按讚 評論 留言 檢舉 列印 關閉視窗 關閉
    相關閱讀 相關新聞 相關文章 相關推薦 相關連結 推薦閱讀 延伸閱讀 猜你喜歡 熱門推薦 熱門文章 熱門標籤 最新文章
    友情鏈接 友站連結 網站地圖 網站導覽 聯絡我們 聯繫我們 關於我們 免責聲明 隱私政策 隱私權政策 隱私權聲明 服務條款 使用條款 廣告服務 廣告刊登
    意見回饋 幫助中心 常見問題 設為首頁 加入收藏 登入 註冊 立即登入 立即註冊 會員登入 忘記密碼 找回密碼 驗證碼
    發表評論 發表留言 我要留言 網友評論 最新留言 手機版 電腦版 下載APP 立即下載 繁體版 簡體版 訂閱 搜尋 熱門搜尋
";

const LABELS: &str = "
    上一篇 下一篇 上一章 下一章 上一条 下一条 责任编辑 责编 本文来源 文章来源 信息来源 稿源 原标题 本文链接 本文地址 文章链接 转载请注明 转载请注明出处
    版权声明 文章标签 标签 关键词 分享到 分享至 相关阅读 相关新闻 相关文章 推荐阅读 热门标签 友情链接 当前位置 您的位置 您的当前位置 您现在的位置
    您当前的位置 所在位置 网站编辑 编辑 美编 值班编辑 浏览次数 阅读次数 点击次数
    上一則 下一則 責任編輯 責編 本文來源 文章來源 稿源 原標題 本文鏈接 本文連結 轉載請註明 轉載請注明出處 版權聲明 文章標籤 標籤 關鍵字 相關閱讀
    相關新聞 相關文章 推薦閱讀 熱門標籤 友情鏈接 當前位置 您的位置 您現在的位置 目前位置 瀏覽次數
";

const FOOTERS: &str = "
    版权所有 ICP备 ICP证 公网安备 增值电信业务经营许可证 网络文化经营许可证 信息网络传播视听节目许可证 互联网新闻信息服务许可证 违法和不良信息举报 不良信息举报
    技术支持： 版權所有 著作權所有 增值電信業務經營許可證
";

const COUNTERS: &str = "
    阅读 浏览 点击 评论 点赞 赞 转发 分享 收藏 回复 关注 粉丝 下载 播放 观看 查看 热度 人气 跟帖 跟贴 留言 参与
    閱讀 瀏覽 點擊 評論 按讚 讚 轉發 回覆 回應 觀看 下載 人氣 留言
";

impl Settings for ChineseLines {
    const NAME: &'static str = "chinese_lines";
    const ABOUT: &'static str = "takes out lines of Chinese pages that are no text: navigation, ads, bylines";
    type Stage = ChineseLineEditor;

    fn build(self) -> Result<ChineseLineEditor, String> {
        check_order(("min_coverage", self.min_coverage), ("1", Threshold::at(1.0)))?;
        check_order(("max_removed", self.max_removed), ("1", Threshold::at(1.0)))?;
        let lists = [
            ("phrases", &self.phrases),
            ("labels", &self.labels),
            ("footers", &self.footers),
            ("counters", &self.counters),
        ];
        for (name, list) in lists {
            if list.iter().any(String::is_empty) {
                return Err(format!("an empty word in `{name}` would be in every line"));
            }
        }
        let automaton = |name: &str, list: &[String]| {
            let automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(list);
            automaton.map_err(|error| format!("`{name}`: {error}"))
        };
        let (byline, counter) = if self.counters.is_empty() {
            (None, None)
        } else {
            let (byline, counter) = byline(&self.counters);
            let regex = |regex: &str| Regex::new(regex).map_err(|error| format!("`counters`: {error}"));
            (Some(regex(&byline)?), Some(regex(&counter)?))
        };
        let own = |regex: &str| Regex::new(regex).expect("our own expressions are right");
        Ok(ChineseLineEditor {
            phrases: automaton("phrases", &self.phrases)?,
            labels: automaton("labels", &self.labels)?,
            footers: automaton("footers", &self.footers)?,
            byline,
            counter,
            path: own(PATH),
            account: own(ACCOUNT),
            contents: own(CONTENTS),
            rules: self,
        })
    }
}

/// A character of every root of a path.
const ROOTS: [char; 3] = ['页', '頁', 'H'];

/// The path to a page: its root, or that it is one, and what lies below.
const PATH: &str = r"(?x)^[\s•·\[\]【】（）()|*◆■>»-]*
    (?:(?:您|你)?(?:的|现在的|現在的|当前的|當前的)?(?:所在|当前|當前|目前)?位置\s*[:：]?\s*)?
    [^>»›→\s]{0,8}(?:首页|主页|首頁|主頁|Home)(?:\s*(?:>+|»|›|→|/|＞+|-|\s)\s*[^>»›→/＞]{1,16}){1,6}(?:>+|»|›|＞+)?\s*$
    ";

/// An account of a messenger, and that one is asked to add it.
const ACCOUNT: &str = r"(?xi)
    (?:加|添加|咨询|扫码|關注|关注|联系|聯繫|客服)\s*.{0,6}(?:微信|薇信|威信|v信|vx|wx|QQ|扣扣|Line|telegram)\s*号?(?:群)?\s*[:：]?\s*@?[a-z0-9_-]{5,}
    |(?:QQ|扣扣)\s*(?:交流|粉丝|书友|讨论|官方)?群\s*号?\s*[:：]?\s*[0-9]{5,}
    |(?:微信|薇信|vx)号?\s*[:：]\s*[a-z0-9_-]{5,}";

/// A title, a leader, and the number of a page.
const CONTENTS: &str = r"(?x)^\s*[^\s\t][^\t]{0,60}?
    (?:(?:…\s?){2,}|(?:\.\s?){4,}|(?:·\s?){4,}|(?:．\s?){3,}|(?:—\s?){4,}|_{4,}|-{5,}|─{3,})
    [\ \u{3000}]{0,2}[(（\[]?[0-9]{1,4}[)）\]]?\s*$";

/// The expressions of a line that is nothing but bylines and counters, and of what must be in it.
fn byline(counters: &[String]) -> (String, String) {
    let words = counters.iter().map(|word| regex::escape(word)).collect::<Vec<_>>().join("|");
    let number = r"[0-9][[0-9],.]*\s*[万萬千kKwW]?\+?";
    let counter = format!(
        r"(?:(?:已有|共有|共|总|本文)?\s*(?:{words})(?:次数|次數|数|數|量)?\s*[(（:：]?\s*{number}\s*[次个個条條人篇]?\s*[)）]?|{number}\s*[次个個条條人]?\s*(?:{words}))"
    );
    let date = r"(?:[0-9]{4}\s?[-/.年]\s?[0-9]{1,2}\s?[-/.月]\s?[0-9]{1,2}\s?日?|[0-9]{1,2}月[0-9]{1,2}日|[0-9]{1,2}[-/][0-9]{1,2})";
    let time = r"[0-9]{1,2}[:：][0-9]{2}(?:[:：][0-9]{2})?";
    let source = r"(?:文章|信息|稿件|新闻)?(?:来源|來源|发布时间|發布時間|发表时间|更新时间|发布日期|发布者|发布人|责任编辑|責任編輯|责编|录入|审核)\s*[:：]\s*[^\s。！？!?]{0,16}";
    let other = r"(?:作者|记者|編輯|编辑|时间|時間|日期|文|图|字号|字體|字体|分类|分類|栏目|標籤|标签)\s*[:：/]\s*[^\s。！？!?]{0,16}";
    let ago = r"(?:今天|昨天|前天|昨日|今日)\s*[0-9]{1,2}[:：][0-9]{2}(?:[:：][0-9]{2})?|[0-9]{1,3}\s*(?:秒|分钟|分鐘|小时|小時|天|周|个月|個月|年)前";
    let word = r"(?:星期|周|週)[一二三四五六日天]|上午|下午|字号|字體|字体|大|中|小|打印|列印|收藏|关闭|分享|举报|人气|原创|相关";
    let between = r"[\s|/·•⋅,，、\[\]【】()（）<>»丨｜—_-]*";
    let line = format!(r"^{between}(?:(?:{counter}|{ago}|{date}|{time}|{source}|{other}|{word}){between})+$");
    (line, format!(r"{counter}|{ago}|{source}|{date}\s*{time}|{other}\s+{other}"))
}

/// [`ChineseLines`], built.
pub struct ChineseLineEditor {
    rules: ChineseLines,
    phrases: AhoCorasick,
    labels: AhoCorasick,
    footers: AhoCorasick,
    byline: Option<Regex>,
    counter: Option<Regex>,
    path: Regex,
    account: Regex,
    contents: Regex,
}

impl ChineseLineEditor {
    fn is_leftover(&self, line: &str) -> bool {
        let rules = &self.rules;
        // No character has more than four bytes, and most lines of prose are longer.
        if line.len() > rules.max_line_chars.saturating_mul(4) || line.is_ascii() {
            return false;
        }
        if text::n_chars(line) > rules.max_line_chars {
            return false;
        }
        let line = line.trim_matches(text::is_space);
        // A heading belongs to what is below it.
        if line.starts_with('#') {
            return false;
        }
        let n = CharCounts::of(line);
        if n.ideographs == 0 {
            return rules.ornaments && n.letters == 0 && n.digits == 0 && is_ornament(line);
        }
        let is_sentence = ends_sentence(line);
        let ends_with_digit = || line.trim_end_matches([')', '）', ']']).ends_with(|c: char| c.is_ascii_digit());
        self.is_covered(line, n.letters + n.digits, is_sentence)
            || self.is_labelled(line)
            || (!is_sentence && !line.ends_with(['：', ':']) && self.footers.is_match(line))
            || (n.digits > 0 && self.is_byline(line))
            || (rules.paths && !is_sentence && line.contains(ROOTS) && self.path.is_match(line))
            || (rules.accounts && !is_sentence && n.digits > 0 && self.account.is_match(line))
            || (rules.contents && ends_with_digit() && self.contents.is_match(line))
    }

    fn is_covered(&self, line: &str, n_chars: usize, is_sentence: bool) -> bool {
        let Some(min) = self.rules.min_coverage.get() else { return false };
        let (mut n_long, mut n_all) = (0, 0);
        for phrase in self.phrases.find_iter(line) {
            let phrase = &line[phrase.range()];
            let n_covered = phrase.chars().filter(|&c| text::is_alpha(c) || text::is_digit(c)).count();
            n_all += n_covered;
            n_long += if n_covered > 2 { n_covered } else { 0 };
        }
        n_all >= n_chars && !(is_sentence && n_long == 0) || !is_sentence && n_long as f64 >= min * n_chars as f64
    }

    fn is_labelled(&self, line: &str) -> bool {
        let line = line.trim_start_matches(|c: char| !text::is_alpha(c) && !text::is_digit(c));
        let Some(label) = self.labels.find(line).filter(|label| label.start() == 0) else { return false };
        let rest = &line[label.end()..];
        // A title behind a label can be a question, but it is no sentence; and Markdown has references with colons.
        if rest.ends_with('。') || rest.starts_with("]:") {
            return false;
        }
        let rest = rest.trim_start_matches(['*', ' ', '\u{3000}', ']', '】', '》', '>']);
        rest.is_empty() || rest.starts_with([':', '：'])
    }

    fn is_byline(&self, line: &str) -> bool {
        let matches = |regex: &Option<Regex>| regex.as_ref().is_some_and(|regex| regex.is_match(line));
        matches(&self.counter) && matches(&self.byline)
    }
}

/// Whether a line ends as a Chinese sentence does.
fn ends_sentence(line: &str) -> bool {
    let closing = ['”', '’', '」', '』', '）', ')', '》', '"', '\'', '】'];
    line.trim_end_matches(closing).ends_with(['。', '！', '？', '…', '!', '?', '；', '，', '、'])
}

/// Whether a line without letters and digits is an ornament. An empty square stands for a character that is lost.
fn is_ornament(line: &str) -> bool {
    let n_wide = line.chars().filter(|c| matches!(c, '！' | '？' | '。' | '，' | '～' | '、')).count();
    let is_figure = |c| matches!(c, '\u{25a0}' | '\u{25a2}'..='\u{2606}' | '※' | '♠'..='♧');
    !line.contains('□') && (n_wide >= 3 || line.chars().any(is_figure))
}

impl Editor for ChineseLineEditor {
    fn edit(&self, doc: &Doc<'_>) -> Edit {
        let n_lines =
            doc.text().split('\n').filter(|line| !line.trim_matches(text::is_space).is_empty()).take(2).count();
        if n_lines < 2 {
            return Edit::Unchanged;
        }
        let Some(rest) = take_out(doc.text(), |line| (!self.is_leftover(line)).then_some(line.into())) else {
            return Edit::Unchanged;
        };
        let n_gone: usize = rest.gone.iter().map(|line| CharCounts::of(line).visible).sum();
        let removed = n_gone as f64 / CharCounts::of(doc.text()).visible as f64;
        if let Some(threshold) = self.rules.max_removed.get()
            && removed > threshold
        {
            return Edit::Drop(Reason { code: "too_many_leftover_lines", value: removed, threshold });
        }
        Edit::Rewritten(rest.text)
    }

    fn reasons(&self) -> &'static [&'static str] {
        &["too_many_leftover_lines"]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::filter::tests::edited_by;

    fn editor() -> ChineseLineEditor {
        ChineseLines::default().build().expect("defaults are right")
    }

    /// Whether each of the lines goes.
    #[track_caller]
    fn check_lines(lines: &[&str], goes: bool) {
        let editor = editor();
        for line in lines {
            assert_eq!(editor.is_leftover(line), goes, "{line:?}");
        }
    }

    #[track_caller]
    fn check(rules: ChineseLines, text: &str, expected: &str) {
        assert_eq!(edited_by(rules, text), expected, "{text:?}");
    }

    fn lenient() -> ChineseLines {
        ChineseLines { max_removed: Threshold::OFF, ..ChineseLines::default() }
    }

    #[test]
    fn furniture_goes() {
        check_lines(
            &[
                "点击查看更多",
                "扫码关注我们",
                "【返回顶部】",
                "首页 上一页 1 下一页 尾页",
                "  • 首页",
                "分享到微信朋友圈",
                "登录 | 注册",
                "回首頁",
                "点击这里。",
                "聯絡我們｜隱私權政策",
            ],
            true,
        );
    }

    #[test]
    fn prose_that_mentions_furniture_stays() {
        check_lines(
            &[
                "他按了一下首页的按钮，什么也没有出来",
                "请点击查看，然后在弹出的窗口里填好地址。",
                "登录。",
                "登录的时候",
                "价格很大",
                "评论家们",
                "扫码关注以后，每天都能收到一条新的消息，可以随时取消",
                "第三章 风雨",
                "《关于我们这一代人的事》",
                "## 相关文章",
            ],
            false,
        );
    }

    #[test]
    fn coverage_has_a_limit() {
        // Four of six, and four of seven.
        check_lines(&["相关阅读好书"], true);
        check_lines(&["相关阅读三本书"], false);
    }

    #[test]
    fn labelled_lines_go() {
        check_lines(
            &[
                "上一篇：春天来了，花开了吗？",
                "下一篇: 没有了",
                "（责任编辑：张三）",
                "[責任編輯：李四]",
                "【标签】：天气 出行",
                "相关阅读：",
                "**推荐阅读：** 一本好书",
            ],
            true,
        );
        check_lines(
            &[
                "上一篇文章说到了这件事",
                "编辑：按一下这个按钮，就可以改动它们。",
                "- [标签]: label.md 中",
                "关键词是天气",
            ],
            false,
        );
    }

    #[test]
    fn footers_go() {
        check_lines(
            &[
                "版权所有 某某公司 Copyright 2020",
                "京ICP备12345678号-1",
                "京公网安备11000000000000号",
                "版權所有，轉載必究",
                "地址：某市某路 版权所有：某某报社",
            ],
            true,
        );
        check_lines(&["他说版权所有的意思是不能复制。", "应当取得《网络文化经营许可证》："], false);
    }

    #[test]
    fn bylines_and_counters_go() {
        check_lines(
            &[
                "阅读 1234",
                "评论(0)",
                "阅读数：3万  评论 12",
                "2024-01-01 12:30 来源：某某网",
                "来源：某某日报 2024年1月1日 作者：王五",
                "发布时间：2024-01-01 浏览：33 次",
                "4小时前",
                "昨天 08:40",
                "2024年01月01日01:53",
                "字号：大 中 小 阅读 3",
            ],
            true,
        );
        check_lines(
            &[
                "2024年1月1日",
                "作者：王五",
                "时间：1999年",
                "来源：这个词是从日语来的。1999",
                "阅读了1234本书的人",
                "一九九九年，来源：不明",
                "评论 3 篇以上的文章，才能算",
            ],
            false,
        );
    }

    #[test]
    fn paths_go() {
        check_lines(
            &[
                "首页 > 新闻 > 正文",
                "当前位置：首页 >> 文化",
                "您的位置：首页  »  图书 » 小说",
                "新浪首页 / 财经 / 股票",
            ],
            true,
        );
        check_lines(&["首页比正文大", "如果首页 > 正文，那么这个不等式成立。"], false);
    }

    #[test]
    fn accounts_go() {
        check_lines(&["加微信 abc12345 领取", "QQ群：12345678", "添加客服微信号：good_luck8", "书友QQ群 123456"], true);
        check_lines(&["微信有10亿用户", "他的QQ群里有500人", "QQ群：12345678，我昨天退出了。"], false);
    }

    #[test]
    fn contents_go() {
        check_lines(
            &[
                "第一章 总则……………12",
                "二、方法与材料........ 3",
                "附录·······（103）",
                "前言 ———— 1",
                "引言 . . . . . 7",
            ],
            true,
        );
        check_lines(&["电话：010-1234", "结果是——12", "他说…… 12 个"], false);
    }

    #[test]
    fn ornaments_go() {
        check_lines(&["★☆★☆★☆", "！！！！", "◆", "※※※"], true);
        check_lines(&["", "---", "======", "——", "……", "□□□□，□□□□。", "│ │", "***", "「」"], false);
    }

    #[test]
    fn other_scripts_are_left_alone() {
        check_lines(&["Home > News > Text", "3 likes", "Copyright 2020", "Новости >", "댓글 3", "ホーム"], false);
    }

    #[test]
    fn long_lines_stay() {
        let line = |n: usize| "上一篇：".to_owned() + &"字".repeat(n - 4);
        check_lines(&[&line(100)], true);
        check_lines(&[&line(101)], false);
    }

    #[test]
    fn leftovers_are_taken_out_and_blank_lines_stay() {
        check(lenient(), "首页 > 新闻\n\n天下雨了。\n\n地湿了。\n分享到：\n", "天下雨了。\n\n地湿了。\n");
        check(lenient(), "首页", "unchanged");
        check(lenient(), "", "unchanged");
        check(lenient(), "天下雨了。\n地湿了。", "unchanged");
    }

    #[test]
    fn documents_of_leftovers_are_dropped() {
        let rules = || ChineseLines { max_removed: Threshold::at(0.5), ..ChineseLines::default() };
        check(rules(), "返回顶部\n天下雨了", "天下雨了");
        check(rules(), "返回顶部\n下雨了", "too_many_leftover_lines 0.5714 (threshold 0.5)");
    }

    #[test]
    fn rules_can_be_switched_off() {
        let off = ChineseLines {
            min_coverage: Threshold::OFF,
            labels: Vec::new(),
            footers: Vec::new(),
            counters: Vec::new(),
            paths: false,
            accounts: false,
            contents: false,
            ornaments: false,
            ..lenient()
        };
        let text = "返回顶部\n上一篇：雨\n版权所有\n阅读 3\n首页 > 新闻\nQQ群：12345678\n总则…………3\n★\n";
        check(off, text, "unchanged");
        check(lenient(), text, "");
    }

    #[test]
    fn wrong_settings_are_refused() {
        let error = |rules: ChineseLines| rules.build().map(drop).expect_err("it is wrong");
        assert!(error(ChineseLines { labels: vec![String::new()], ..lenient() }).contains("`labels`"));
        assert!(error(ChineseLines { min_coverage: Threshold::at(1.5), ..lenient() }).contains("`min_coverage`"));
    }

    /// What is left of a text.
    fn edited(editor: &ChineseLineEditor, text: &str) -> String {
        match editor.edit(&Doc::bare(text)) {
            Edit::Unchanged => text.to_owned(),
            Edit::Rewritten(text) => text,
            Edit::Drop(reason) => unreachable!("no share is too great: {reason}"),
        }
    }

    #[test]
    fn editing_twice_is_editing_once() {
        let editor = lenient().build().expect("defaults are right");
        proptest!(|(text in "([首页上一篇：>阅读 123。天雨版权所有★！\\n]|分享到|来源：|\\n\\n){0,60}")| {
            let once = edited(&editor, &text);
            prop_assert_eq!(edited(&editor, &once), once);
        });
    }
}
