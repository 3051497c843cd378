"""Names of the months as they stand in a date, by language."""

_MONTHS = """
en January February March April May June July August September October November December
de Januar Februar März April Mai Juni Juli August September Oktober November Dezember
fr janvier février mars avril mai juin juillet août septembre octobre novembre décembre
es enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
it gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre
pt janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro
nl januari februari maart april mei juni juli augustus september oktober november december
ru января февраля марта апреля мая июня июля августа сентября октября ноября декабря
pl stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia
sv januari februari mars april maj juni juli augusti september oktober november december
uk січня лютого березня квітня травня червня липня серпня вересня жовтня листопада грудня
ar يناير فبراير مارس أبريل مايو يونيو يوليو أغسطس سبتمبر أكتوبر نوفمبر ديسمبر
ca gener febrer març abril maig juny juliol agost setembre octubre novembre desembre
cs ledna února března dubna května června července srpna září října listopadu prosince
da januar februar marts april maj juni juli august september oktober november december
no januar februar mars april mai juni juli august september oktober november desember
tr Ocak Şubat Mart Nisan Mayıs Haziran Temmuz Ağustos Eylül Ekim Kasım Aralık
fi tammikuuta helmikuuta maaliskuuta huhtikuuta toukokuuta kesäkuuta heinäkuuta elokuuta syyskuuta \
lokakuuta marraskuuta joulukuuta
bg януари февруари март април май юни юли август септември октомври ноември декември
"""
MONTHS: dict[str, list[str]] = {line.split()[0]: line.split()[1:] for line in _MONTHS.strip().splitlines()}
"""Language -> names of the months as they stand in a date."""
