/**
 * Mandarin syllable → one common character per tone (1 to 4, then the neutral tone; - where there is none), chosen to have no other
 * reading wherever such a character exists. A pronunciation is spoken by writing these characters: the model reads text, not pinyin.
 */
export const SYLLABLES =
  'a 锕嗄--啊, ai 埃皑蔼爱, an 安-俺案, ang 肮昂-盎, ao 凹敖袄傲, ba 巴拔靶爸吧, bai 掰白百败, ban 班-板半, bang 帮-绑棒, bao 包雹保报, bei 悲-北备, ben 锛-本笨, beng 崩甭-泵, bi 逼鼻比必, bian 编-贬变, ' +
  'biao 标-表鳔, bie 鳖蹩瘪, bin 彬--摈, bing 兵-柄病, bo 波博跛檗啵, bu 逋醭捕部, ca 擦-礤, cai 猜才彩菜, can 餐蚕惨灿, cang 苍藏, cao 操槽草, ce ---厕, cen -岑, ceng 噌层-蹭, cha 插察镲岔, ' +
  'chai 钗柴-虿, chan 搀蝉产忏, chang 昌常敞唱, chao 超潮炒耖, che 砗-扯撤, chen 郴沉碜趁伧, cheng 撑成逞秤, chi 吃持耻赤, chong 充虫宠铳, chou 抽酬瞅臭, chu 出除楚矗, chuai 搋--膪, chuan 穿船喘串, ' +
  'chuang 窗床闯怆, chui 吹捶, chun 春醇蠢, chuo 戳--辶, ci 疵词此次, cong 聪从, cou ---凑, cu 粗徂-醋, cuan 蹿--篡, cui 摧-璀脆, cun 村存忖寸, cuo 磋嵯脞错, da 搭达打大瘩, dai 呆-歹代, dan 耽-胆但, ' +
  'dang 裆-党荡, dao 刀-导到, de -德--的, deng 登-等瞪, di 低迪抵第, dia --嗲, dian 颠-点电, diao 碉--掉, die 跌碟, ding 盯-顶定, diu 丢, dong 东-懂动, dou 兜-抖豆, du 督独堵杜, duan 端-短断, ' +
  'dui 堆--对, dun 墩-盹钝, duo 多夺躲跺, e 屙峨-厄, ei 诶, en 恩--摁, er -而尔二, fa 发罚法珐, fan 翻凡反饭, fang 方房仿放, fei 非肥匪费, fen 芬坟粉奋, feng 封逢讽奉, fo -佛, fou --缶, fu 敷福府妇, ' +
  'ga 旮噶尕尬, gai 该-改概, gan 甘-感赣, gang 刚-岗筻, gao 高-搞告, ge 歌阁舸铬, gei --给, gen 根哏-亘, geng 耕-埂更, gong 公-巩贡, gou 钩-狗够, gu 姑-古故, gua 刮-剐挂, guai 乖-拐怪, guan 关-管罐, ' +
  'guang 光-犷逛, gui 规-轨贵, gun --辊棍, guo 锅国果过, ha 哈蛤, hai 咳孩海害, han 酣含喊汉, hang 夯杭-沆, hao 蒿毫郝耗, he 诃河-赫, hei 黑, hen -痕很恨, heng 哼衡, hong 轰鸿哄讧, hou -喉吼后, ' +
  'hu 乎胡虎护, hua 花猾-话, huai -怀-坏, huan 欢环缓换, huang 荒黄幌晃, hui 挥回毁慧, hun 婚魂-诨, huo 劐活火或, ji 机即己记, jia 加荚甲架, jian 坚-简建, jiang 江-讲匠, jiao 交嚼搅叫, jie 接杰姐界, ' +
  'jin 金-紧进, jing 精-警静, jiong 冂-炯, jiu 究-久就, ju 居局举具, juan 捐-锩倦, jue 噘决蹶倔, jun 军--峻, ka 喀-佧, kai 开-凯忾, kan 刊-坎瞰, kang 康扛-抗, kao 尻-考靠, ke 科壳渴克, ken --肯裉, ' +
  'keng 坑, kong 崆-恐控, kou 抠-口扣, ku 哭-苦酷, kua 夸-垮跨, kuai --蒯快, kuan 宽-款, kuang 匡狂夼况, kui 亏葵跬馈, kun 坤-捆困, kuo ---扩, la 垃旯-辣, lai -来-赖, lan -兰揽烂, lang 啷琅朗浪, ' +
  'lao 捞劳老酪, le 嘞--仂, lei -雷蕾类, leng -楞冷愣, li 哩离理力, lia --俩, lian -连脸练, liang -良两亮, liao -聊了料, lie 咧--列, lin 拎林凛赁, ling -灵领另, liu 熘流柳鹨, long -龙垄, ' +
  'lou -楼篓漏喽, lu 撸芦鲁路氇, luan -峦卵乱, lun 抡伦-论, luo -罗裸洛, lv -驴旅律, lve ---掠, ma 妈麻马骂吗, mai -霾买卖, man 颟馒满慢, mang -忙莽, mao 猫毛铆茂, me ----么, mei -玫美妹, men 闷门-焖们, ' +
  'meng -萌锰梦, mi 咪迷米密, mian -棉免面, miao 喵苗藐妙, mie 咩--蔑, min -民抿, ming -名酩命, miu ---谬, mo 摸摹抹默, mou 哞谋某, mu -毪母目, na -拿哪纳, nai --奶耐, nan 囡男腩, nang 囔囊攮, ' +
  'nao 孬挠脑闹, ne ---讷呢, nei --馁内, nen ---嫩, neng -能, ng ---嗯, ni 妮尼你匿, nian 蔫年碾念, niang -娘-酿, niao --鸟脲, nie 捏--聂, nin -您, ning -柠拧泞, niu 妞牛扭, nong -农-弄, ' +
  'nou ---耨, nu -奴努怒, nuan --暖, nuo -挪-诺, nv --钕恧, nve ---虐, o 噢--哦, ou 欧-藕怄, pa 啪爬-怕, pai 拍牌-派, pan 攀盘-判, pang 乓庞耪胖, pao 抛咆跑疱, pei 呸培-配, pen 喷盆, ' +
  'peng 砰朋捧碰, pi 批皮匹僻, pian 篇骈谝骗, piao 飘瓢殍嘌, pie 瞥-丿, pin 拼贫品聘, ping 乒平, po 坡婆叵破, pou 剖裒, pu 扑莆普铺, qi 七棋起气, qia 掐--恰, qian 千前遣欠, qiang 枪墙襁炝, qiao 橇桥巧撬, ' +
  'qie -茄且怯, qin 钦琴寝沁, qing 轻情请碃, qiong -琼, qiu 秋求糗, qu 蛆劬取去, quan 悛全犬劝, que 缺瘸-却, qun 逡群, ran -然冉, rang -瓤壤让, rao -饶扰绕, re --惹热, ren -人忍认, reng 扔仍, ' +
  'ri ---日, rong -容冗, rou -揉-肉, ru -如辱入, ruan --软, rui -蕤蕊瑞, run ---闰, ruo ---弱, sa 仨-洒萨, sai 腮--赛, san 三-伞散, sang 桑-嗓丧, sao 搔-嫂瘙, se ---瑟, sen 森, seng 僧, ' +
  'sha 杀啥傻唼, shai 筛--晒, shan 山-闪善, shang 伤-赏尚裳, shao 烧勺少哨, she 奢舌-社, shen 身神审肾, sheng 生绳眚圣, shi 师时使是, shou 收-手受, shu 书赎薯树, shua 唰-耍, shuai 摔-甩帅, ' +
  'shuan 栓--涮, shuang 双-爽, shui -谁水睡, shun --吮顺, shuo 说--朔, si 斯-死四, song 松-耸送, sou 搜-叟嗽, su 酥俗-诉, suan 酸--算, sui 虽随髓岁, sun 荪-损, suo 蓑-所, ta 他-塔挞, ' +
  'tai 胎抬-太, tan 坍谈坦探, tang 羰堂躺烫, tao 掏萄讨套, te ---特, teng -藤, ti 梯题体替, tian 天田舔掭, tiao 佻迢窕眺, tie 贴-铁餮, ting 听停挺, tong 嗵童统痛, tou 偷投钭透, tu 突图土兔, tuan 湍团疃彖, ' +
  'tui 推颓腿退, tun 吞臀氽, tuo 托鸵椭唾, wa 挖娃佤袜, wai 歪-崴外, wan 豌完晚腕, wang 汪王往望, wei 微维苇位, wen 温文吻问, weng 嗡-蓊瓮, wo 蜗-我卧, wu 屋芜五物, xi 西习喜细, xia 瞎匣-下, xian 先咸显现, ' +
  'xiang 香翔想向, xiao 消淆小笑, xie 楔鞋写谢, xin 心--衅, xing 星形醒性, xiong 兄雄, xiu 修-朽嗅, xu 需徐诩续蓿, xuan 宣悬选眩, xue 靴学雪谑, xun 勋寻-驯, ya 押牙痖亚呀, yan 烟言眼验, yang 殃阳养样, ' +
  'yao 邀摇咬药, ye 椰爷也业, yi 一颐以意, yin 因银引印, ying 英营影硬, yo 唷, yong 拥喁永用, you 优由友又, yu 迂于屿遇, yuan 鸳原远院, yue 曰-哕月, yun 氲云陨运, za 匝杂咋, zai 栽-宰在, zan 簪咱昝暂, ' +
  'zang 赃-驵臓, zao 遭凿早造, ze -则-仄, zei -贼, zen --怎谮, zeng 增--赠, zha 渣札眨榨, zhai 摘宅窄债, zhan 瞻-展战, zhang 张-掌丈, zhao 招-找照, zhe 遮哲者蔗着, zhen 真-枕阵, zheng 争-整证, ' +
  'zhi 之直指至, zhong 终-肿众, zhou 周妯肘咒, zhu 珠逐主住, zhua 抓-爪, zhuai ---拽, zhuan 专-转撰, zhuang 装--状, zhui 锥--赘, zhun 谆-准, zhuo 桌卓, zi 资-子自, zong 鬃-总粽, zou 邹-走奏, ' +
  'zu 租足组, zuan 躜-纂攥, zui --嘴最, zun 尊-撙, zuo 嘬昨左做';
