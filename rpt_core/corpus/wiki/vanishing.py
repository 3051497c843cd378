"""Templates that show a reader of the text nothing, and templates whose value is not in the page.

Nothing show citations, tags of maintenance, flags, boxes and notices.

Only names of the large editions are here. What is not listed is told by its form, see
:mod:`rpt_core.corpus.wiki.templates`.
"""

import re

_EXACT = """
0 00 fn fnz ref fact cn citation_needed unsourced_inline dead_link deadlink
dead dl bare_url_inline failed_verification better_source better_source_needed verify_source
verification_needed verify_credibility unreliable_source unreliable_source? self-published_source
self-published_inline primary_source_inline third-party_inline third-party_source_needed full
full_citation_needed page_needed pages_needed volume_needed year_needed season_needed title_missing
author_missing clarify clarification_needed clarify_me specify vague ambiguous confusing_inline
incomprehensible_inline jargon-inline definition dubious discuss disputed_inline disputed-inline
contradict-inline contradictory_inline original_research_inline synthesis_inline lopsided
undue_weight_inline weasel-inline weasel_inline peacock-inline peacock_inline pov-statement neologism_inline
opinion who who? by_whom by_whom? according_to_whom whom? where when when? which which? whose why how
how_often how_many what? quantify says_who like_whom for_whom as_whom examples example_needed fix
update_inline update_after update_needed outdated_inline obsolete relevance_inline relevance
non-primary_source_needed additional_citation_needed secondary_source_needed attribution_needed tone_inline
copy_edit_inline editorializing buzz inconsistent chronology_citation_needed not_verified_in_body
not_in_source nowrap_end nowrap_begin nobr_end improve_references_inline medical_citation_needed mcn
scientific_citation_needed lead_extra_info expand_inline elucidate importance_inline globalize-inline
image_reference_needed notelist reflist refbegin refend refn ref_label note_label note efn efn-ua efn-lr
efn-la notetag notefoot sfn sfnp sfnm sfnref sfbf harv harvnb harvp harvtxt harvcoltxt harvcol harvs harvid
ran rp r rma vcite citeref full_note snf shortened_footnote listref see_below see_above backref cite
citar citation-needed coord coordinate coordinates coor_d coor_dm coor_dms koordinate coordenadas
coordonnées coord_missing location_map location_map~ location_map+ positionskarte positionskarte~
positionskarte+ osm gbmapping gbmappingsmall gbthumb oscoor osm_coord lunar_coords_and_quad_cat latlong
pushpin_map fldez flagicon flagdeco flagicon_image flagiconnoc noflag country_alias country_data drapeau
bandera bandiera bandeira флаг флагификация2 vlag flaga прапор flagicon2 bandeira_icon flagicon/core 国旗 旗
旗画像 国旗图标 flag_icon ficon icon bandera_icon main further see see_also seealso details details3 about
for for2 redirect redirect2 redirect-distinguish distinguish other_uses otheruses other_people other_places
hatnote dablink rellink main_article further_information broader main_list further2 more main_category
cat_main cmain category_see_also about-distinguish technical_reasons wrongtitle italic_title displaytitle
lowercase_title lowercase correct_title haupartikel hauptartikel siehe_auch weiterleitungshinweis
begriffsklärungshinweis dieser_artikel article_détaillé article_connexe voir_homonymes confusion homonyme_de
loupe vt véase véase_también otros_usos ap artículo_principal ap2 principal vedi_anche nota_disambigua
torna_a disambigua2 ver_também artigo_principal anexo zie_ook zie_hoofdartikel hoofdartikel doorverwijzing
основная_статья основная см._также другие_значения о_другом головна_стаття див._також główny osobny_artykuł
zobacz_też disambigr huvudartikel se_även mer main2 otherusesof 主条目 main_ja 混同 redirecthere seealso_ja
参照 主條目 主条目2 see_also2 另见 消歧義 distinguish2 مفصلة رئيسي طالع_أيضا تفصيل chính bài_chính xem_thêm
portal portal_bar portal-inline portal_inline portail portale portal_ru портал портали wikiportal 포털
sister_project_links sister_project sisterlinks commons commons_category commonscat commonscat-inline
commons-inline commons_category-inline wiktionary wiktionary-inline wikiquote wikiquote-inline wikisource
wikisource-inline wikisourcelang wikibooks wikinews wikiversity wikivoyage wikispecies wikidata-inline
wikimedia autres_projets interprogetto schwesterprojekte wikispecies-inline wikt-inline otros_proyectos
correlatos authority_control normdaten autorité control_de_autoridades controllo_di_autorità
controle_de_autoridade bibliodossier нормативный_контроль нормативний_контроль kontrola_autorytatywna
auktoritetsdata 典拠管理 规范控制 權威控制 ضبط_استنادي kiểm_soát_tính_nhất_quán taxonbar clear clr
clear_left clear_right - br absatz toc toc_limit toc_left toc_right tocright notoc horizontal_toc
compact_toc anchor anchors anker ancre ancla ancora âncora якорь якір kotwica ankare anchor_jp end div_col
div_col_end col-begin col-end col-break col-2 col-3 col-4 col-5 col_begin col_end colbegin colend col-1-of-2
col-2-of-2 top bottom start_box end_box s-start s-end s-bef s-ttl s-aft s-break s-par s-ppo s-off s-hon
s-rel s-reg succession_box cot cob hidden_begin hidden_end quote_box_end colonnes_fin début_de_colonnes
fin_de_colonnes use_dmy_dates use_mdy_dates use_british_english use_american_english engvarb
short_description dynamic_list good_article featured_article featured_list lesenswert exzellent bots nobots
pp pp-move pp-semi pp-move-indef pp-semi-indef pp-protected pp-pc1 pp-protect pp-vandalism multiple_issues
unreferenced refimprove more_footnotes no_footnotes cleanup stub wikify orphan update expand_section
unreferenced_section lead_too_short in_use under_construction merge merge_to merge_from split afd rfd
copyedit copy_edit tone advert pov globalize in_popular_culture prose technical age_templates increase
decrease steady increasenegative decreasepositive profit loss gain up down augmentation baisse diminution
stagnation augmentation_négative yes no n/a na dunno tick cross check aye nay nom win nominated draw ya
partial included dropped unknown legend legend2 legend0 farblegende légende leyenda legenda color_box
colour_box colorbox legend-line legendline 범례 凡例 圖例 color_sample swatch bartable bar_percent bar_box
barre barras ipa ipac-en ipac-pl ipac-de ipac-fr ipac-it ipac-es ipa-all respell api api_link api-ru msapi
pron pronunciation prononciation lautschrift afi мфа мфа-ru ipa1 ipa2 ipa3 ipalink ipablink ipaslink
ipa_link enpr usdict pronounced fonipa sampa x-sampa listen écouter escuchar listen_image audio_icon
gesprochene_version gesprochener_artikel spoken_wikipedia spoken_article inprogress isbn issn oclc enlink
sudoc bnf ark viaf isni gnd lccn orcid idref persee gallica worldcat_id doi pmid pmc bibcode arxiv hdl jstor
ssrn asin zdb dnb-portal dnb urn citeseerx s2cid zbl mr jfm osti rfc openlibrary worldcat ismn oclc_link
bibisbn bibissn google_books youtube youtube_video imdb imdb_name imdb_title allmovie allmusic
official_website official url website webarchive wayback cite_web1 offizielle_website site_officiel
sitio_web sito fr_icon en_icon de_icon es_icon it_icon ja_icon ru_icon pt_icon zh_icon ar_icon gr_icon
el_icon ca_icon nl_icon pl_icon languageicon link_language in_lang ref-en ref-de ref-fr ref-it ref-es ref-ru
ref-la ref-uk ref-ja ref-zh en-icon eng mul sprachen langicon metricate hs sort_key ntsh hid sortkey
hidden_sort_key ht sronly screen_reader-only void void2 nop noop null vorlage formatierung graph gallery
timeline image_label image_label_begin annotated_image css_image_crop multiple_image multiple_images
double_image triple_image wide_image panorama imageframe stack stack_begin stack_end image_frame superimpose
external_media map_caption tall_image clade cladex clade/styles chart chart/start chart/end tree_chart
ahnentafel family_tree familytree familytree/start familytree/end geographic_location weather_box
klimatabelle climate_chart historical_populations us_census_population demographics largest_cities galerie
bilder mehrere_bilder imagemap infobox taxobox chembox drugbox navbox navboxes sidebar naviblock
navigationsleiste palette fossil_range fossilrange geological_range phanerozoic_220px défaut_de_source
référence_insuffisante source_insuffisante réf_nec sourcer à_sourcer préciser à_préciser lien_brisé
lien_mort qui quand où lequel laquelle évasif détournement non_neutre pertinence interprétation_personnelle
c'est-à-dire quoi pourquoi date_nécessaire à_actualiser mise_à_jour_nécessaire incise_source
note_de_traduction section_à_sourcer sources_secondaires plume refins refinc smn sfn2 cr sin_referencias
cuándo quién dónde cuál aclarar aclaración_requerida añadir_referencias enlace_roto verificar
no_en_la_fuente página_requerida discutido revisión actualizar sf da_chi quando chi dove quale non_chiaro f
nn da_aggiornare collegamento_interrotto senzafonte fonte sem-fontes sem_fontes carece_de_fonte carece_fonte
esclarecer quem onde qual ligação_inativa link_inativo fonte? fontes página_necessária bron? feit
bronvermelding citaat_gevraagd dode_link bron_gewenst wanneer verduidelijking_gewenst источник? нет_аи
нет_источника аи уточнить уточнить_год кто? когда? где? какой? чей? неавторитетный_источник? проверить_факт
обновить устарело битая_ссылка недоступная_ссылка стиль значимость_факта? страница? подст:аи подст:нет_аи
ref+ ref-ен неоднозначность непроверено прояснить проясните достоверность_под_сомнением кого? сколько?
почему? тч недоступная сфн sfn-ru sfn0 примечания джерело? чому? хто? коли? де? сумнівно не_перекладено
немає_джерел прояснити уточнити дж фактаж нд який? факт не_вказано неавторитетне_джерело fakt źródło?
bez_źródeł w_artykule kto kiedy gdzie który doprecyzuj dopracować martwy_link przypis odn dlaczego
weryfikacja niejasne oryginalna_analiza uwaga kb faktamall källa? vem när vilken förtydliga död_länk
ej_i_källa fotnot fakta? ifrågasatt vilka 要出典 誰 誰2 いつ どこ どれ なぜ どのように 要検証 要ページ番号
要文献特定詳細情報 リンク切れ 信頼性要検証 独自研究 要説明 要追加記述 要校閲 疑問点 正確性 更新 出典無効
要高次出典 要非一次出典 要出典明記 説明 refnest rおよび 来源请求 來源請求 查证请求 查證請求 谁 誰_zh 何时
何時 哪裡 哪里 何地 哪个 失效链接 失效連結 页码请求 頁碼請求 非第一手来源请求 可疑 原创研究内文 原創研究內文
需要更新 可靠来源 从何时开始 fact_zh 消歧义链接需求 clarify_zh 為何 为何 notetag_zh needpage 由谁 由誰
بحاجة_لمصدر بحاجة_لدقة_أكثر حقيقة من متى أين وضح بحاجة_لتوضيح وصلة_مكسورة هامش مصدر cần_chú_thích cần_nguồn
nguồn? ai? khi_nào? ở_đâu? cần_dẫn_chứng cần_số_trang liên_kết_hỏng 출처 출처_필요 누가 언제 어디 확인_필요
각주 죽은_링크 beleg belege belege_fehlen zukunft wer wann toter_link defekter_weblink belegt? quellen
überarbeiten veraltet internetquelle literatur
"""
VANISHING = frozenset(name.replace("_", " ") for name in _EXACT.split())
"""Names in lower case."""
_FIRST_WORDS = frozenset(
    "cite vcite vancite cita cytuj citace literatur ouvrage article chapitre internetquelle book "
    "citer citeer книга статья "
    "публикация source référence webarchive harv sfn efn ref chart end lien_web".replace("_", " ").split()
)
"""Words that begin the names of references."""
_BEGINNINGS = (
    "infobox", "taxobox", "navbox", "chembox", "drugbox", "geobox", "campaignbox", "speciesbox",
    "automatic taxobox",
    "sidebar", "ficha", "fiche", "info/", "faktamall", "карточка", "картка", "基礎情報", "صندوق",
    "hộp thông tin",
    "bảng", "kutu", "bilgi kutusu", "formula box", "pp-", "ipa-", "ipac-", "wp:", "wikipedia", "wikisource",
    "wiktionary", "commons", "portal", "portail", "портал", "flagicon", "flag icon", "флаг ", "flag of",
    "国旗",
    "국기그림", "قالب", "ملف", "defaultsort", "displaytitle", "sortierung", "clé de tri", "ordenar", "ordina",
    "сортування", "categoria", "template for", "redirect-", "redirect ", "multiple ", "unreferenced",
    "expand ",
    "col-", "div col", "fin de", "début de", "positionskarte", "location map", "weather box", "climate",
    "census",
    "medal", "navigationsleiste", "palette", "legend", "graph:", "bar box", "bar chart", "chart/", "ébauche",
    "esbozo", "stub", "esboço", "szkic", "beginnetje", "заготовка", "доробити", "lien web",
)  # fmt: skip
_ENDINGS = (
    " stub",
    "-stub",
    " icon",
    " sidebar",
    " navbox",
    " footer",
    " topics",
    "-bauche",
    " dates",
    " english",
)
_ELSEWHERE = re.compile(
    r"age(?: (?:in|for) .*|nts)|(?:time|years?|days) (?:ago|since)|numberof\w{1,20}|"
    r"current ?(?:year|month|day|time|week|hour|minute)\w{0,12}|current (?:age|events?|population)|"
    r"local(?:year|month|day|time|week)\w{0,12}|inflation|inflation[ -]year|inflación|to usd|format price|"
    r"metadaten .*|metadati.*|population|population (?:[a-z]{2,3}-|wd|from).*|ewz|ewr|einwohnerzahl|"
    r"bevölkerung|bevolking|население|населення|aktuelle .*|edad en .*|âge|età|leeftijd|現在年齢|"
    r"wikidata|datos|wd"
)


def shows_nothing(name: str) -> bool:
    """Whether a template, by its name in lower case, is no part of any sentence.

    Example:
        >>> shows_nothing("infobox film"), shows_nothing("cite web"), shows_nothing("convert")
        (True, True, False)
    """
    return (
        name in VANISHING
        or name.partition(" ")[0] in _FIRST_WORDS
        or name.startswith(_BEGINNINGS)
        or name.endswith(_ENDINGS)
        or bool(re.fullmatch(r"s-\w{2,4}|cite-\w{1,20}", name))
    )


def value_is_elsewhere(name: str) -> bool:
    """Whether a template shows a value the page does not hold: of a data page, of today's date.

    Example:
        >>> value_is_elsewhere("currentyear"), value_is_elsewhere("metadaten einwohnerzahl de-be")
        (True, True)
    """
    return bool(_ELSEWHERE.fullmatch(name))
